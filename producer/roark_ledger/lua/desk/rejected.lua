#!lua flags=no-writes,allow-oom
-- A page of the rejected bin, oldest first.
--
-- ARGV  1 now   2 first (0-based)   3 most
-- Returns for each { digest, rejected at (ms), `meta-length meta body` }.

local page = {}
local rows = redis.call('ZRANGE', KEY.rejected_order, ARGV[2], ARGV[2] + ARGV[3] - 1, 'WITHSCORES')
for i = 1, #rows, 2 do
  page[#page + 1] = { rows[i], tonumber(rows[i + 1]), redis.call('HGET', KEY.rejected, rows[i]) or '' }
end
return page
