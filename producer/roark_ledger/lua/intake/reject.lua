#!lua
-- Keeps what came in and cannot be used, once per content. A full bin gives up what is spare, then its oldest.
-- needs _bin.lua
--
-- ARGV  1 now   2 digest   3 meta (JSON)   4 packed body   5 most entries   6 most bytes   7 1: it is spare
-- Returns 1 when it is new, 0 when the same content lay there already or was erased.

if is_erased('rejected:' .. ARGV[2]) then
  count('refused_erased', 1)
  return 0
end
count('rejected', 1)
bin_open()
bin.most, bin.most_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
local spare = ARGV[7] == '1'
local entry = #ARGV[3] .. ' ' .. ARGV[3] .. ARGV[4]
local known_since = redis.call('ZSCORE', KEY.rejected_order, ARGV[2])
if not known_since then
  bin_put(ARGV[2], entry, now, spare)
elseif not spare and redis.call('ZSCORE', KEY.rejected_spare, ARGV[2]) then
  -- What stood in a file has now come by the webhook as well.
  bin_take(ARGV[2])
  bin_put(ARGV[2], entry, tonumber(known_since), false)
end
bin_make_room()
bin_close()
return known_since and 0 or 1
