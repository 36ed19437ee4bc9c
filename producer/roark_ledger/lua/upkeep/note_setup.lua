#!lua flags=allow-oom
-- Keeps how the workers are set up, and since when, so that a failure can be laid beside what changed just before it.
--
-- One line for each set-up that differs from the one before, the newest last; the oldest go. A worker that starts with
-- the set-up that is known is counted in its line, so that one that starts again and again pushes nothing out.
--
-- ARGV  1 now   2 the set-up (JSON)   3 started: 1 when a worker starts with it, 0 when one that runs notices it
--       4 most lines
-- Returns 1 when it is another set-up than the last one, else 0.

local function line(first, latest, starts) return table.concat({ first, latest, starts, ARGV[2] }, ' ') end

local last = redis.call('LINDEX', KEY.setups, -1)
if last then
  local first, latest, starts, said = string.match(last, '^(%d+) (%d+) (%d+) (.*)$')
  if said == ARGV[2] then
    if ARGV[3] == '1' then redis.call('LSET', KEY.setups, -1, line(first, now, starts + 1)) end
    return 0
  end
end
-- With another token or another address the next probe may be good: it goes now, and more follow soon.
local held = redis.call('HMGET', KEY.lane, 'probe_at', 'breaker_until')
if last and held[1] then redis.call('HSET', KEY.lane, 'probe_at', now, 'probe_from', now) end
if last and held[2] and tonumber(held[2]) > now then redis.call('HSET', KEY.lane, 'breaker_until', now) end
redis.call('RPUSH', KEY.setups, line(now, now, ARGV[3]))
redis.call('LTRIM', KEY.setups, -ARGV[4], -1)
return 1
