#!lua flags=no-writes,allow-oom
-- How the workers that live are set up.
--
-- ARGV  1 now   2 patience (ms): who was not heard of for so long has died
-- Returns { worker's name, JSON, … }.

local crew, found = redis.call('HGETALL', KEY.crew), {}
for i = 1, #crew, 2 do
  local heard, facts = string.match(crew[i + 1], '^(%d+) (.*)$')
  if math.abs(now - heard) <= tonumber(ARGV[2]) then
    found[#found + 1] = crew[i]
    found[#found + 1] = facts
  end
end
return found
