use super::*;

const SECOND: u64 = 1_000_000_000;

/// A bucket of 100 that refills in a second, of which a node may hold 20 for a tenth of one.
fn terms() -> Terms {
    let quota = Quota::per_second(100);
    Terms::of(quota, Duration::from_millis(100), Some(20)).unwrap()
}

fn granted(units: u64) -> Answer {
    Answer::granted(units).under(Receipt::new(7)).leaving(50, Duration::from_millis(500))
}

/// An account that asked for so many units at this time and got them at once.
fn holding(at: u64, units: u64) -> Account {
    let mut account = Account { asked_at: Some(at), ..Account::default() };
    assert_eq!(account.land(at, Asked { units, at }, &granted(units), terms()), None);
    account
}

#[test]
fn terms_follow_from_the_quota() {
    let of = |quota, most| Terms::of(quota, Duration::from_millis(400), most);
    let most = |quota, most| of(quota, most).unwrap().most;
    assert_eq!(most(Quota::per_second(10_000), None), 1_000);
    assert_eq!(most(Quota::per_second(3), None), 1);
    assert_eq!(most(Quota::per_second(3), Some(9)), 3, "no more than there can be");
    assert_eq!(most(Quota::per_second(3), Some(0)), 1);
    assert_eq!(most(Quota::per_second(0), None), 1);
    let pace = |quota| of(quota, None).unwrap().pace / 1_000_000;
    assert_eq!(pace(Quota::per_second(100)), 50, "an eighth of a life");
    assert_eq!(pace(Quota::per_second(100).burst(8)), 10, "of the time in which it refills");
    assert_eq!(of(Quota::per_second(9).leaky_bucket(5, 0), None), None);
    let bans = Quota::penalty_box(3, Duration::from_secs(1), Duration::from_secs(9));
    assert_eq!(of(bans, None), None);
}

#[test]
fn a_loan_is_spent_until_its_life_is_over() {
    let mut account = holding(1_000, 5);
    assert_eq!(account.need(2_000, 5), Need::None);
    assert_eq!(account.need(2_000, 6), Need::Ask);
    assert_eq!(account.spend(2_000, 3), Receipt::new(7));
    let end = 1_000 + terms().life;
    assert_eq!([account.held(end - 1), account.held(end)], [2, 0]);
    assert_eq!(account.need(end, 1), Need::Ask);
    assert_eq!(account.need(end, 0), Need::Ask, "nothing is to be had where one is not");
    let back: Vec<_> = account.expire(end).iter().map(|lot| lot.units).collect();
    assert_eq!(back, [2]);
    assert!(account.expire(end).is_empty());
}

#[test]
fn the_life_of_a_loan_is_counted_from_the_question() {
    let life = terms().life;
    let asked = Asked { units: 5, at: 0 };
    let mut account = Account { asked_at: Some(0), ..Account::default() };
    assert_eq!(account.land(life - 1, asked, &granted(5), terms()), None);
    assert_eq!([account.held(life - 1), account.held(life)], [5, 0]);

    let mut account = Account { asked_at: Some(0), ..Account::default() };
    let late = account.land(life, asked, &granted(5), terms()).unwrap();
    assert_eq!((late.units, late.receipt, account.held(life)), (5, Receipt::new(7), 0));
}

#[test]
fn what_ends_first_is_spent_first() {
    let mut account = holding(0, 5);
    account.asked_at = Some(50);
    account.land(60, Asked { units: 5, at: 50 }, &granted(5), terms());
    account.spend(70, 6);
    assert_eq!([account.held(70), account.held(terms().life)], [4, 4]);
}

#[test]
fn a_window_lends_nothing_beyond_its_end() {
    let quota = Quota::per_minute(100).fixed_window();
    let terms = Terms::of(quota, Duration::from_secs(1), None).unwrap();
    for (reset, life) in
        [(Duration::from_millis(30), SECOND * 3 / 100), (Duration::from_secs(9), SECOND)]
    {
        let mut account = Account::default();
        let answer = Answer::granted(5).leaving(0, reset);
        account.land(0, Asked { units: 5, at: 0 }, &answer, terms);
        assert_eq!([account.held(life - 1), account.held(life)], [5, 0]);
    }
}

#[test]
fn what_is_asked_for_lasts_for_a_life() {
    let ask = |recent: u64, held: u64, cost: u64| {
        let mut account = if held > 0 { holding(0, held) } else { Account::default() };
        account.count(0, recent, terms());
        account.ask(0, cost, terms()).map(|asked| asked.units)
    };
    assert_eq!(ask(1, 0, 1), Some(1), "a slow key takes what it needs");
    assert_eq!(ask(8, 0, 1), Some(8));
    assert_eq!(ask(8, 3, 5), Some(5));
    assert_eq!(ask(1, 3, 5), Some(2));
    assert_eq!(ask(900, 0, 1), Some(20), "never more than the most");
    assert_eq!(ask(900, 15, 16), Some(5), "with what is held");
    let mut account = Account::default();
    account.count(0, 10, terms());
    account.count(terms().life / 2, 1, terms());
    assert_eq!(account.ask(terms().life / 2, 1, terms()).unwrap().units, 6, "older ones fade");
}

#[test]
fn one_call_is_under_way_until_it_ends() {
    let mut account = Account::default();
    let asked = account.ask(0, 1, terms()).unwrap();
    assert_eq!(account.ask(1, 1, terms()), None);
    account.land(2, asked, &granted(1), terms());
    assert!(account.ask(3, 2, terms()).is_some());
    account.lost(4, terms());
    assert!(account.ask(5, 2, terms()).is_some());
}

#[test]
fn those_who_wait_are_asked_for_together_and_what_they_leave_is_let_go() {
    let mut account = Account::default();
    account.join(90);
    let asked = account.ask(0, 1, terms()).unwrap();
    assert_eq!(asked.units, 90, "more than a node may hold");
    account.land(1, asked, &granted(90), terms());
    account.leave(30);
    account.spend(1, 30);
    assert!(account.surplus(1, terms()).is_empty(), "60 wait for 60");
    account.leave(50);
    let surplus: Vec<_> = account.surplus(1, terms()).iter().map(|lot| lot.units).collect();
    assert_eq!(surplus, [30], "10 wait, and 20 may be held");
    assert_eq!(account.held(1), 30);
}

#[test]
fn a_busy_key_asks_before_it_runs_dry_and_a_slow_one_does_not() {
    let ahead = |recent: u64, held: u64, now: u64| {
        let mut account = holding(0, held);
        account.recent = Recent { units: recent as f64, at: now };
        account.ask_ahead(now, terms()).map(|asked| asked.units)
    };
    let life = terms().life;
    assert_eq!(ahead(16, 12, 0), None);
    assert_eq!(ahead(16, 4, 0), None);
    assert_eq!(ahead(16, 3, 0), Some(13));
    assert_eq!(ahead(16, 12, life * 3 / 4), Some(4), "what is held ends soon");
    assert_eq!(ahead(16, 13, life * 3 / 4), None, "and lasts until then");
    assert_eq!(ahead(3, 1, life * 3 / 4), None, "slow");
}

#[test]
fn after_a_failure_nothing_is_asked_ahead_for_a_while() {
    let mut account = holding(0, 3);
    account.count(0, 16, terms());
    account.lost(0, terms());
    assert_eq!(account.ask_ahead(0, terms()), None);
    assert!(account.ask_ahead(terms().pace, terms()).is_some());
}

#[test]
fn a_refusal_is_remembered_until_its_wait_has_passed_and_no_longer_than_a_life() {
    let Terms { life, pace, .. } = terms();
    for (wait, remembered) in [
        (Some(Duration::ZERO), pace),
        (Some(Duration::from_nanos(life / 2)), life / 2),
        (Some(Duration::from_secs(3_600)), life),
        (None, life),
    ] {
        let mut account = Account { asked_at: Some(0), ..Account::default() };
        let asked = Asked { units: 1, at: 0 };
        assert_eq!(account.land(10, asked, &Answer::refused(wait), terms()), None);
        let tell = |now: u64| wait.map(|it| it.saturating_sub(Duration::from_nanos(now - 10)));
        let at_least = |it: Duration| it.max(Duration::from_nanos(1));
        assert_eq!(account.need(10, 1), Need::Dry(tell(10).map(at_least)));
        let last = 10 + remembered - 1;
        assert_eq!(account.need(last, 1), Need::Dry(tell(last).map(at_least)));
        assert_eq!(account.need(last + 1, 1), Need::Ask);
    }
}

#[test]
fn who_was_lent_less_than_asked_for_twice_leaves_the_store_alone() {
    let asked = Asked { units: 9, at: 0 };
    let mut account = Account { asked_at: Some(0), ..Account::default() };
    account.count(0, 9, terms());
    account.land(0, asked, &granted(2), terms());
    assert_eq!(account.need(1, 2), Need::None);
    account.spend(1, 2);
    assert_eq!(account.ask_ahead(1, terms()), None);
    assert_eq!(account.need(1, 1), Need::Ask, "it may say when there is more");
    account.land(1, asked, &granted(1), terms());
    account.spend(1, 1);
    assert!(matches!(account.need(1, 1), Need::Dry(Some(_))));
    assert_eq!(account.need(1 + terms().pace, 1), Need::Ask);
}

#[test]
fn an_account_is_looked_at_when_its_loan_ends_and_forgotten_when_it_says_nothing() {
    let Terms { life, pace, .. } = terms();
    let mut account = holding(5, 3);
    assert_eq!(account.next_visit(6, terms()), Some(5 + life));
    account.close();
    assert_eq!(account.next_visit(6, terms()), Some(6 + life), "it counts what is asked");
    assert_eq!(account.next_visit(life, terms()), None);
    account.asked_at = Some(life);
    assert_eq!(account.next_visit(life, terms()), Some(2 * life));
    assert_eq!(account.next_visit(3 * life, terms()), Some(3 * life + pace), "overdue");
}

#[test]
fn a_store_that_lends_more_than_was_asked_for_is_not_taken_at_its_word() {
    let mut account = Account::default();
    account.land(0, Asked { units: 2, at: 0 }, &granted(u64::MAX), terms());
    assert_eq!(account.held(0), 2);
}
