-- Judges all demands of a request, and takes from all of them or from none: one call, which nobody sees half done.
--
-- KEYS[i] is the key of demand i, ARGV[i + 2] its numbers. ARGV[1] is what to do; ARGV[2] the time, or '' for this
-- server's. The algorithms are those of `rate_limit/algorithm`: here is only what decides and what is kept. What
-- is left and how long to wait, the client works out from the state that it is told.
--
-- Numbers of Lua are exact up to 2^53, and nanoseconds since 1970 are more than that. So each time is a pair:
-- whole seconds, and nanoseconds below 10^9.

local BILLION = 1000000000
local DAY = 86400
local LONGEST_S, LONGEST_N = 4611686018, 427387903
local MOST, MOST_IN_WINDOW = 9007199254740992, 4294967295
local UNLIMITED, BUCKET, WINDOW, LOG, FIXED, MONTH, BOX = 0, 1, 2, 3, 4, 5, 6

local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local call, pack, unpack_numbers = redis.call, struct.pack, struct.unpack

-- === Times ===

local now_s, now_n, unix_s, unix_n
-- How much longer than needed a key is kept, in milliseconds. Where clients bring the time, their clocks differ.
local margin = 1

if ARGV[2] == '' then
  local time = call('TIME')
  now_s, now_n = tonumber(time[1]), tonumber(time[2]) * 1000
  unix_s, unix_n = now_s, now_n
else
  now_s, now_n, unix_s, unix_n = unpack_numbers('<dddd', ARGV[2])
  margin = 60000
end

local function less(as, an, bs, bn)
  return as < bs or (as == bs and an < bn)
end

local function later(as, an, bs, bn)
  if less(as, an, bs, bn) then return bs, bn end
  return as, an
end

local function plus(as, an, bs, bn)
  local s, n = as + bs, an + bn
  if n >= BILLION then return s + 1, n - BILLION end
  return s, n
end

-- The difference, or nothing.
local function minus(as, an, bs, bn)
  if less(as, an, bs, bn) then return 0, 0 end
  if an < bn then return as - bs - 1, an - bn + BILLION end
  return as - bs, an - bn
end

-- How often one time goes into another, and what is left over: long division by doubling.
local function divide(as, an, bs, bn)
  local times, doubled, s, n = 1, {}, bs, bn
  while not less(as, an, s, n) do
    doubled[#doubled + 1] = { times, s, n }
    times, s, n = times * 2, plus(s, n, s, n)
  end
  local quotient = 0
  for i = #doubled, 1, -1 do
    local it = doubled[i]
    if not less(as, an, it[2], it[3]) then
      quotient = quotient + it[1]
      as, an = minus(as, an, it[2], it[3])
    end
  end
  return quotient, as, an
end

-- `count * part / whole`, rounded down, where part is at most whole and count below 2^32.
local function share(count, ps, pn, ws, wn)
  if count == 0 or (ps == 0 and pn == 0) then return 0 end
  if not less(ps, pn, ws, wn) then return count end
  local estimate = count * ((ps * BILLION + pn) / (ws * BILLION + wn))
  local whole = floor(estimate)
  local above = estimate - whole
  if above > 0.001 and above < 0.999 then return whole end
  -- Too close to call by floating point: bit by bit.
  local quotient, rs, rn, bit = 0, 0, 0, 2147483648
  while bit >= 1 do
    quotient, rs, rn = quotient * 2, plus(rs, rn, rs, rn)
    if not less(rs, rn, ws, wn) then
      quotient = quotient + 1
      rs, rn = minus(rs, rn, ws, wn)
    end
    if count >= bit then
      count = count - bit
      rs, rn = plus(rs, rn, ps, pn)
      if not less(rs, rn, ws, wn) then
        quotient = quotient + 1
        rs, rn = minus(rs, rn, ws, wn)
      end
    end
    bit = bit / 2
  end
  return quotient
end

-- === What is kept ===

local function check(sound)
  if not sound then error('GARBAGE what is kept under this key is not a state of this program', 0) end
end

local function is_time(s, n)
  return s <= 4 * LONGEST_S and n < BILLION
end

-- The state of a key: when it is at rest, and two counts.
local function load(d)
  local value = call('GET', d.key)
  if not value then
    d.s, d.n, d.word, d.before = 0, 0, 0, 0
    return
  end
  check(#value == 28)
  d.s, d.n, d.word, d.before = unpack_numbers('<I8I4I8I8', value)
  check(is_time(d.s, d.n) and d.word <= MOST and d.before <= MOST)
end

local function time_to_live(s, n)
  local left_s, left_n = minus(s, n, now_s, now_n)
  return left_s * 1000 + ceil(left_n / 1000000) + margin
end

local function save(d, s, n, word, before)
  if not less(now_s, now_n, s, n) then
    call('DEL', d.key)
  else
    call('SET', d.key, pack('<I8I4I8I8', s, n, word, before), 'PX', time_to_live(s, n))
  end
end

-- === Buckets: `rest` is when it will be full; a: how long an empty one takes, b: the cost, c: one unit ===

local bucket = {}

function bucket.judge(d)
  load(d)
  local full_s, full_n = later(d.s, d.n, now_s, now_n)
  local empty_s, empty_n = plus(now_s, now_n, d.a_s, d.a_n)
  d.room_s, d.room_n = minus(empty_s, empty_n, full_s, full_n)
  d.ok = not less(d.room_s, d.room_n, d.b_s, d.b_n)
end

function bucket.commit(d)
  local s, n = later(d.s, d.n, now_s, now_n)
  s, n = plus(s, n, d.b_s, d.b_n)
  save(d, s, n, 0, 0)
end

function bucket.lend(d)
  if d.ok then
    d.units = max(d.units, 1)
    return
  end
  local units, over_s, over_n = divide(d.room_s, d.room_n, d.c_s, d.c_n)
  if units > 0 then
    d.b_s, d.b_n = minus(d.room_s, d.room_n, over_s, over_n)
    d.ok = true
  end
  d.units = max(units, 1)
end

function bucket.charge(d)
  load(d)
  local s, n = later(d.s, d.n, now_s, now_n)
  if less(LONGEST_S, LONGEST_N, d.b_s, d.b_n) then d.b_s, d.b_n = LONGEST_S, LONGEST_N end
  s, n = plus(s, n, d.b_s, d.b_n)
  local most_s, most_n = plus(now_s, now_n, LONGEST_S, LONGEST_N)
  if less(most_s, most_n, s, n) then s, n = most_s, most_n end
  save(d, s, n, 0, 0)
end

-- Whether what was taken last is given back first: under no receipt of ours, but the largest number.
local function is_latest(d)
  return d.c_s == 18446744073 and d.c_n == 709551615
end

-- c: when what is given back will have refilled. What has refilled meanwhile is there already.
function bucket.refund(d)
  load(d)
  local out_s, out_n = minus(d.c_s, d.c_n, now_s, now_n)
  if less(out_s, out_n, d.b_s, d.b_n) then d.b_s, d.b_n = out_s, out_n end
  local s, n = minus(d.s, d.n, d.b_s, d.b_n)
  save(d, s, n, 0, 0)
end

-- === Sliding windows: `rest` is two periods after the running window began; both counts ===

local window = {}

-- The windows as they are now. Who comes from before the running window is judged at its beginning.
local function windows(d)
  load(d)
  local two_s, two_n = plus(d.period_s, d.period_n, d.period_s, d.period_n)
  local start_s, start_n = minus(d.s, d.n, two_s, two_n)
  local into_s, into_n = minus(now_s, now_n, start_s, start_n)
  if not less(now_s, now_n, d.s, d.n) then
    return now_s, now_n, 0, 0, 0, 0
  end
  if less(into_s, into_n, d.period_s, d.period_n) then
    return start_s, start_n, into_s, into_n, d.before, d.word
  end
  start_s, start_n = plus(start_s, start_n, d.period_s, d.period_n)
  into_s, into_n = minus(into_s, into_n, d.period_s, d.period_n)
  return start_s, start_n, into_s, into_n, d.word, 0
end

local function save_windows(d, start_s, start_n, before, running)
  local s, n = plus(start_s, start_n, d.period_s, d.period_n)
  s, n = plus(s, n, d.period_s, d.period_n)
  save(d, s, n, running, before)
end

function window.judge(d)
  local into_s, into_n
  d.start_s, d.start_n, into_s, into_n, d.last, d.running = windows(d)
  local used = d.running + d.last - share(d.last, into_s, into_n, d.period_s, d.period_n)
  d.left = max(d.count - used, 0)
  d.ok = max(d.units, 1) <= d.left
end

function window.commit(d)
  save_windows(d, d.start_s, d.start_n, d.last, d.running + d.units)
end

function window.charge(d)
  local start_s, start_n, _, _, before, running = windows(d)
  save_windows(d, start_s, start_n, before, min(running + d.units, MOST_IN_WINDOW))
end

function window.refund(d)
  local start_s, start_n, _, _, before, running = windows(d)
  if not less(now_s, now_n, d.s, d.n) then return end
  local next_s, next_n = plus(d.c_s, d.c_n, d.period_s, d.period_n)
  if is_latest(d) then
    before = max(before - max(d.units - running, 0), 0)
    running = max(running - d.units, 0)
  elseif start_s == d.c_s and start_n == d.c_n then
    running = max(running - d.units, 0)
  elseif start_s == next_s and start_n == next_n then
    before = max(before - d.units, 0)
  end
  save_windows(d, start_s, start_n, before, running)
end

-- === Logs: a hash of entries, numbered from `head` to below `next`, which together took `used` ===

local log = {}

local function entry(d, index)
  local value = call('HGET', d.key, index)
  check(value and #value == 20)
  local s, n, units = unpack_numbers('<I8I4I8', value)
  check(is_time(s, n) and units <= d.used)
  return s, n, units
end

-- Opens the log, and forgets what is a period old. Who comes from before its last entry is judged at that.
local function open(d)
  local fields = call('HMGET', d.key, 'head', 'next', 'used')
  d.head, d.next, d.used = tonumber(fields[1] or 0), tonumber(fields[2] or 0), tonumber(fields[3] or 0)
  check(d.head and d.next and d.used and d.next <= MOST)
  d.at_s, d.at_n, d.s, d.n = now_s, now_n, 0, 0
  if d.head >= d.next then return end
  d.last_s, d.last_n = entry(d, d.next - 1)
  d.at_s, d.at_n = later(now_s, now_n, d.last_s, d.last_n)
  local head = d.head
  while d.head < d.next do
    local s, n, units = entry(d, d.head)
    s, n = plus(s, n, d.period_s, d.period_n)
    if less(d.at_s, d.at_n, s, n) then break end
    call('HDEL', d.key, d.head)
    d.head, d.used = d.head + 1, d.used - units
  end
  if d.head == d.next then
    call('DEL', d.key)
  else
    d.s, d.n = plus(d.last_s, d.last_n, d.period_s, d.period_n)
    if d.head > head then call('HSET', d.key, 'head', d.head, 'used', d.used) end
  end
end

local function record(d)
  local units = min(d.units, MOST - d.used)
  if units <= 0 then return end
  local index, so_far = d.next, 0
  if d.head < d.next and d.last_s == d.at_s and d.last_n == d.at_n then
    index = d.next - 1
    local _, _, before = entry(d, index)
    so_far = before
  end
  local value = pack('<I8I4I8', d.at_s, d.at_n, so_far + units)
  call('HSET', d.key, index, value, 'head', d.head, 'next', index + 1, 'used', d.used + units)
  local s, n = plus(d.at_s, d.at_n, d.period_s, d.period_n)
  call('PEXPIRE', d.key, time_to_live(s, n))
end

-- When what counts has fallen to this.
local function falls_to(d, room)
  local left = d.used
  for index = d.head, d.next - 1 do
    local s, n, units = entry(d, index)
    left = left - units
    if left <= room then return plus(s, n, d.period_s, d.period_n) end
  end
  return 0, 0
end

function log.judge(d)
  open(d)
  local needed = max(d.units, 1)
  d.left = max(d.count - d.used, 0)
  d.ok = needed <= d.left
  d.word, d.before, d.more = d.used, 0, 0
  if not d.ok and needed <= d.count then
    d.before, d.more = falls_to(d, d.count - needed)
  end
end

log.commit = record

function log.charge(d)
  open(d)
  record(d)
end

-- Gives back what one entry took, as far as it goes; how much that was.
local function give_back(d, index, s, n, units)
  local back = min(d.units, units)
  d.units, d.used = d.units - back, d.used - back
  call('HSET', d.key, index, pack('<I8I4I8', s, n, units - back), 'used', d.used)
end

-- Entries that took nothing, at the end of the log, are not remembered: who is given all back fills no memory.
local function forget_nothings(d)
  local before = d.next
  while d.head < d.next do
    local _, _, units = entry(d, d.next - 1)
    if units > 0 then break end
    d.next = d.next - 1
    call('HDEL', d.key, d.next)
  end
  if d.head == d.next then
    call('DEL', d.key)
  elseif d.next < before then
    call('HSET', d.key, 'next', d.next)
  end
end

local function refund_latest(d)
  local index = d.next - 1
  while d.units > 0 and index >= d.head do
    local s, n, units = entry(d, index)
    give_back(d, index, s, n, units)
    index = index - 1
  end
end

local function refund_from(d)
  local low, high = d.head, d.next - 1
  while low <= high do
    local middle = floor((low + high) / 2)
    local s, n, units = entry(d, middle)
    if s == d.c_s and n == d.c_n then
      return give_back(d, middle, s, n, units)
    elseif less(s, n, d.c_s, d.c_n) then
      low = middle + 1
    else
      high = middle - 1
    end
  end
end

function log.refund(d)
  open(d)
  if is_latest(d) then refund_latest(d) else refund_from(d) end
  forget_nothings(d)
end

-- === Fixed windows: `rest` is the end of the window; a: how much later they begin, b: half a period ===

local fixed = {}

-- The time from the first of a month until the next first.
local function left_of_month(d)
  local s, n = minus(unix_s, unix_n, d.a_s, d.a_n)
  -- Years from March on, in eras of 400: what is odd about February comes last.
  local days = floor(s / DAY) + 719468
  local era = floor(days / 146097)
  local day = days - era * 146097
  local year = floor((day - floor(day / 1460) + floor(day / 36524) - floor(day / 146096)) / 365)
  local of_year = day - (365 * year + floor(year / 4) - floor(year / 100))
  local month = floor((5 * of_year + 2) / 153) + 1
  if month == 12 then year, month = year + 1, 0 end
  if year == 400 then era, year = era + 1, 0 end
  local first = era * 146097 + 365 * year + floor(year / 4) - floor(year / 100)
  first = first + floor((153 * month + 2) / 5) - 719468
  return minus(first * DAY, 0, s, n)
end

local function left_of_window(d)
  if d.algorithm == MONTH then return left_of_month(d) end
  if d.period_n == 0 and d.a_n == 0 then
    return minus(d.period_s, 0, (unix_s - d.a_s) % d.period_s, unix_n)
  end
  local _, s, n = divide(unix_s, unix_n, d.period_s, d.period_n)
  s, n = plus(s, n, d.period_s, d.period_n)
  s, n = minus(s, n, d.a_s, d.a_n)
  _, s, n = divide(s, n, d.period_s, d.period_n)
  return minus(d.period_s, d.period_n, s, n)
end

-- The window that runs: its end, and what it has counted. A wall clock that is set back opens none.
local function running(d)
  load(d)
  local left_s, left_n = left_of_window(d)
  local ends_s, ends_n = plus(now_s, now_n, left_s, left_n)
  local most_s, most_n = plus(d.s, d.n, d.b_s, d.b_n)
  if less(now_s, now_n, d.s, d.n) and not less(most_s, most_n, ends_s, ends_n) then
    return d.s, d.n, d.word
  end
  return ends_s, ends_n, 0
end

function fixed.judge(d)
  d.end_s, d.end_n, d.used = running(d)
  d.left = max(d.count - d.used, 0)
  d.ok = max(d.units, 1) <= d.left
end

function fixed.commit(d)
  save(d, d.end_s, d.end_n, d.used + d.units, 0)
end

function fixed.charge(d)
  local s, n, used = running(d)
  save(d, s, n, min(used + d.units, MOST), 0)
end

function fixed.refund(d)
  load(d)
  if is_latest(d) or (d.s == d.c_s and d.n == d.c_n) then save(d, d.s, d.n, max(d.word - d.units, 0), 0) end
end

-- === Penalty boxes: refusals until `rest`, or a ban until then; a: how long a ban lasts ===

local box = {}
local BANNED = MOST

function box.judge(d)
  load(d)
  d.left, d.ok = d.count, true
  if less(now_s, now_n, d.s, d.n) then
    d.ok = d.word ~= BANNED
    d.left = d.ok and max(d.count - d.word, 0) or 0
  end
end

function box.commit() end

function box.refund() end

function box.charge(d)
  load(d)
  local s, n, so_far = d.s, d.n, d.word
  if not less(now_s, now_n, s, n) then
    s, n = plus(now_s, now_n, d.period_s, d.period_n)
    so_far = 0
  elseif so_far == BANNED then
    return
  end
  local refusals = min(so_far + d.units, BANNED - 1)
  if refusals >= d.count then
    s, n = plus(now_s, now_n, d.a_s, d.a_n)
    refusals = BANNED
  end
  save(d, s, n, refusals, 0)
end

-- === No limit ===

local unlimited = {}

function unlimited.judge(d)
  d.ok, d.left, d.s, d.n, d.word, d.before = true, MOST, 0, 0, 0, 0
end

function unlimited.commit() end

unlimited.charge, unlimited.refund = unlimited.commit, unlimited.commit

-- === What is asked ===

local rules = {
  [UNLIMITED] = unlimited, [BUCKET] = bucket, [WINDOW] = window, [LOG] = log,
  [FIXED] = fixed, [MONTH] = fixed, [BOX] = box,
}

local function demand(i)
  local d = { key = KEYS[i] }
  d.algorithm, d.enforced, d.units, d.count, d.period_s, d.period_n, d.a_s, d.a_n, d.b_s, d.b_n, d.c_s, d.c_n =
    unpack_numbers('<dddddddddddd', ARGV[i + 2])
  d.rule, d.asked = rules[d.algorithm], d.units
  return d
end

-- What the client needs in order to say what is left: the state as it was.
local function tell(reply, d)
  local size = #reply
  reply[size + 1] = d.ok and 1 or 0
  reply[size + 2], reply[size + 3] = d.s, d.n
  reply[size + 4], reply[size + 5] = d.word, d.before
  reply[size + 6], reply[size + 7] = d.more or 0, d.units
end

local ask = {}

function ask.take(reply)
  local demands, refused = {}, false
  for i = 1, #KEYS do
    local d = demand(i)
    d.rule.judge(d)
    refused = refused or (d.enforced == 1 and not d.ok)
    demands[i] = d
  end
  for i = 1, #KEYS do
    local d = demands[i]
    if d.algorithm == BOX then
      d.units = (i > 1 and demands[i - 1].refuses) and 1 or 0
      if d.units > 0 then
        box.charge(d)
        box.judge(d) -- the refusal that brings a ban is told of it
      end
      d.units = refused and d.ok and 0 or d.asked
      tell(reply, d)
    else
      d.refuses = not d.ok
      if refused and d.ok then d.units = 0 end -- what was not taken is still there
      tell(reply, d)
      if not refused and d.ok and d.units > 0 then d.rule.commit(d) end
    end
  end
end

function ask.borrow(reply)
  local d = demand(1)
  d.rule.judge(d)
  if d.algorithm == BUCKET then
    bucket.lend(d)
  else
    d.units = max(min(d.units, d.left), 1)
    d.rule.judge(d)
  end
  tell(reply, d)
  if d.ok then d.rule.commit(d) end
end

function ask.read(reply)
  local d = demand(1)
  d.rule.judge(d)
  tell(reply, d)
end

function ask.charge()
  for i = 1, #KEYS do
    local d = demand(i)
    if d.units > 0 then d.rule.charge(d) end
  end
end

function ask.refund()
  for i = 1, #KEYS do
    local d = demand(i)
    d.rule.refund(d)
  end
end

function ask.reset()
  for i = 1, #KEYS do call('DEL', KEYS[i]) end
end

local reply = { now_s, now_n }
ask[ARGV[1]](reply)
return reply
