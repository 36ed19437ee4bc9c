#!lua flags=allow-oom
-- Keeps how the caller, a worker that lives, is set up; those that were not heard of for long are taken off.
--
-- ARGV  1 now   2 worker's name   3 the set-up (JSON), as in note_setup.lua   4 patience (ms)
-- Returns nothing.

redis.call('HSET', KEY.crew, ARGV[2], string.format('%.0f %s', now, ARGV[3]))
local crew = redis.call('HGETALL', KEY.crew)
for i = 1, #crew, 2 do
  local heard = tonumber(string.match(crew[i + 1], '^%d+'))
  if math.abs(now - heard) > tonumber(ARGV[4]) then redis.call('HDEL', KEY.crew, crew[i]) end
end
return 0
