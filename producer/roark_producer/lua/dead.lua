#!lua flags=no-writes,allow-oom
-- A page of the dead letters, or of the discarded, oldest first.
--
-- ARGV  1 now   2 `dead` or `discarded`   3 first (0-based)   4 most
-- Returns for each { call id, since (ms), record, history }.

local page = {}
local rows = redis.call('ZRANGE', KEY[ARGV[2]], ARGV[3], ARGV[3] + ARGV[4] - 1, 'WITHSCORES')
for i = 1, #rows, 2 do
  page[#page + 1] = {
    rows[i], tonumber(rows[i + 1]), redis.call('HGET', KEY.records, rows[i]),
    redis.call('HGET', KEY.histories, rows[i]) or '',
  }
end
return page
