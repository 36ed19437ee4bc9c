#!lua flags=allow-oom
-- Removes the oldest lines of the operators' logbook, and writes a line about that.
--
-- ARGV  1 now   2 before (ms): lines of this time and later stay   3 most lines at once   4 who (JSON)
-- Returns how many are gone.

local old = redis.call('XRANGE', KEY.logbook, '-', '+', 'COUNT', ARGV[3])
local gone = {}
for _, row in ipairs(old) do
  if tonumber(row[2][2]) >= tonumber(ARGV[2]) then break end
  gone[#gone + 1] = row[1]
end
if #gone == 0 then return 0 end
redis.call('XDEL', KEY.logbook, unpack(gone))
log_deed('log-trim', ARGV[4], #gone, {})
return #gone
