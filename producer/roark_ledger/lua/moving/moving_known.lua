#!lua flags=no-writes,allow-oom
-- Says which calls a partition has of those that what is left of the old ledger still names: there they are as they were.
--
-- ARGV  1 now   then call ids
-- Returns for each 1 where it is known here, or was erased, else 0.

local found = {}
for i = 2, #ARGV do
  found[i - 1] = (redis.call('HEXISTS', KEY.records, ARGV[i]) == 1 or is_erased(ARGV[i], true)) and 1 or 0
end
return found
