#!lua flags=allow-oom
-- Removes entries from the rejected bin for somebody's sake: the same content is refused when it comes again.
-- needs _bin.lua
--
-- ARGV  1 now   2, 3 pads of the key to use if the ledger has none yet   4 who (JSON)   then the digests
-- Returns the tombstones of those that were there.

make_erase_key(ARGV[2], ARGV[3])
local gone = {}
bin_open()
for i = 5, #ARGV do
  if bin_take(ARGV[i]) then
    gone[#gone + 1] = tombstone('rejected:' .. ARGV[i])
    redis.call('SADD', KEY.erased, gone[#gone])
  end
end
bin_close()
count('rejected_erased', #gone)
if #gone > 0 then log_deed('rejected-erase', ARGV[4], #gone, gone) end
return gone
