//! What several schemes bring, together.

use std::fmt;

use http::{Request, Response};

use crate::{body::Watch, guard::Pass};

/// The pass of a combination: those of its schemes, of which one leads.
///
/// The others go in first, the last of them first of all, so that what the leading one puts into the request
/// stays. On the way back it is the other way round.
pub struct Passes<P> {
    pub(super) passes: P,
    pub(super) lead: usize,
    prepared: bool,
}

impl<P> Passes<P> {
    pub(super) fn led_by(lead: usize, passes: P) -> Self {
        Self { passes, lead, prepared: false }
    }
}

impl<P> fmt::Debug for Passes<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passes")
    }
}

macro_rules! passes {
    ($($P:ident $at:tt),+; $count:literal) => {
        impl<$($P: Pass),+> Pass for Passes<($(Option<$P>,)+)> {
            fn prepare<REQ>(&mut self, request: &Request<REQ>) {
                // Once: when this goes in together with others, they have changed the request since.
                if !std::mem::replace(&mut self.prepared, true) {
                    $(self.passes.$at.prepare(request);)+
                }
            }

            fn enter<REQ>(&mut self, request: &mut Request<REQ>) {
                self.prepare(request);
                let lead = self.lead;
                for pass in (0..$count).rev().filter(|it| *it != lead).chain([lead]) {
                    match pass {
                        $($at => self.passes.$at.enter(request),)+
                        _ => {}
                    }
                }
            }

            fn leave<RES>(&mut self, response: &mut Response<RES>) {
                let lead = self.lead;
                for pass in [lead].into_iter().chain((0..$count).filter(|it| *it != lead)) {
                    match pass {
                        $($at => self.passes.$at.leave(response),)+
                        _ => {}
                    }
                }
            }

            fn watch(&mut self) -> Option<Box<dyn Watch>> {
                let all = [$(self.passes.$at.watch()),+];
                let mut all: Vec<_> = all.into_iter().flatten().collect();
                match all.len() {
                    0 | 1 => all.pop(),
                    _ => Some(Box::new(all)),
                }
            }
        }
    };
}

passes!(A 0, B 1; 2);
passes!(A 0, B 1, C 2; 3);
passes!(A 0, B 1, C 2, D 3; 4);
passes!(A 0, B 1, C 2, D 3, E 4; 5);
passes!(A 0, B 1, C 2, D 3, E 4, F 5; 6);

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// Writes its letter wherever it is asked.
    struct Letter(&'static str);

    impl Pass for Letter {
        fn enter<B>(&mut self, request: &mut Request<B>) {
            request.headers_mut().append("order", HeaderValue::from_static(self.0));
        }

        fn leave<B>(&mut self, response: &mut Response<B>) {
            response.headers_mut().append("order", HeaderValue::from_static(self.0));
        }
    }

    #[test]
    fn the_leading_pass_goes_in_last_and_comes_out_first() {
        let orders = |lead| {
            let letter = |it| Some(Letter(it));
            let mut passes = Passes::led_by(lead, (letter("a"), letter("b"), letter("c")));
            let (mut request, mut response) = (Request::new(()), Response::new(()));
            passes.enter(&mut request);
            passes.leave(&mut response);
            [request.headers(), response.headers()].map(|headers| {
                headers.get_all("order").iter().map(|it| it.to_str().unwrap()).collect::<String>()
            })
        };
        assert_eq!(orders(0), ["cba", "abc"]);
        assert_eq!(orders(1), ["cab", "bac"]);
        assert_eq!(orders(2), ["bac", "cab"]);
        assert_eq!(orders(9), ["cba", "abc"], "nobody leads: all of them are there all the same");
    }
}
