#!lua flags=allow-oom
-- Puts waiting reports that are due on the retry queue, in the order in which they fell due.
--
-- ARGV  1 now   2 most reports at once
-- Returns how many.

local due = redis.call('ZRANGEBYSCORE', KEY.waiting, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #due, 2 do
  move(due[i], read(due[i]), 'promote', due[i + 1], 'r')
end
return #due / 2
