#!lua flags=allow-oom
-- Forgets that these calls' reports were refused, or failed: they are erased.
--
-- needs _examples.lua
--
-- ARGV  1 now   then call ids
-- Returns of how many a refusal was known.

local found = 0
for i = 2, #ARGV do
  found = found + redis.call('HDEL', KEY.refused, ARGV[i])
  is_no_example_any_more(ARGV[i])
end
return found
