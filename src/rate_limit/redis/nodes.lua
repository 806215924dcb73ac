-- Says that a node lives, and how many do. KEYS[1] is their set, by when each dies, in milliseconds. ARGV[1] is the
-- node, ARGV[2] for how long it lives; ARGV[3] the time, or '' for this server's.

local MOST = 10000

local now
if ARGV[3] == '' then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
else
  now = tonumber(ARGV[3])
end

local lives = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + lives, ARGV[1])
-- Beyond so many, those who would die first are forgotten.
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -MOST - 1)
redis.call('PEXPIRE', KEYS[1], math.max(lives, redis.call('PTTL', KEYS[1])) + 60000)
return redis.call('ZCARD', KEYS[1])
