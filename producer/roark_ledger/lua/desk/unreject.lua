#!lua flags=allow-oom
-- Takes entries out of the rejected bin, and counts what for: they were mended and accepted, or discarded.
-- needs _bin.lua
--
-- ARGV  1 now   2 counter: `rejected_retried` or `rejected_discarded`   3 action for the logbook
--       4 who (JSON)   then the digests
-- Returns how many were there.

local gone = {}
bin_open()
for i = 5, #ARGV do
  if bin_take(ARGV[i]) then gone[#gone + 1] = ARGV[i] end
end
bin_close()
count(ARGV[2], #gone)
if #gone > 0 then log_deed(ARGV[3], ARGV[4], #gone, gone) end
return #gone
