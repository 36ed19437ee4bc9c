-- The rejected bin's books: what it holds in entries and bytes, and who makes room when it is full.
--
-- Most of what lies there exists nowhere else. The rest is spare: lines of a file, which still stand in the file, and
-- messages of Vapi's that are no reports. Spare ones go first, oldest first, whoever comes.
--
-- KEY.rejected        HASH digest -> `meta-length meta body`
-- KEY.rejected_order  ZSET digest by time of rejection
-- KEY.rejected_spare  ZSET digest by time of rejection, of the spare ones
-- KEY.counters        bin_entries, bin_bytes, bin_spare_entries, bin_spare_bytes; the bounds of whoever came last:
--                     bin_most, bin_most_bytes

local bin

local function bin_size(digest)
  return redis.call('HSTRLEN', KEY.rejected, digest)
end

local function bin_open()
  local found = redis.call(
    'HMGET', KEY.counters, 'bin_entries', 'bin_bytes', 'bin_spare_entries', 'bin_spare_bytes', 'bin_most',
    'bin_most_bytes'
  )
  for i = 1, 6 do found[i] = tonumber(found[i] or nil) or 0 end
  bin = {
    entries = found[1], bytes = found[2], spare_entries = found[3], spare_bytes = found[4], most = found[5],
    most_bytes = found[6],
  }
  if bin.entries == redis.call('ZCARD', KEY.rejected_order) then return end
  -- Another version put something in or took something out, and keeps no books.
  bin.entries, bin.bytes, bin.spare_entries, bin.spare_bytes = 0, 0, 0, 0
  for _, digest in ipairs(redis.call('ZRANGE', KEY.rejected_order, 0, -1)) do
    bin.entries = bin.entries + 1
    bin.bytes = bin.bytes + bin_size(digest)
    if redis.call('ZSCORE', KEY.rejected_spare, digest) then
      bin.spare_entries = bin.spare_entries + 1
      bin.spare_bytes = bin.spare_bytes + bin_size(digest)
    end
  end
end

local function bin_close()
  redis.call(
    'HSET', KEY.counters, 'bin_entries', bin.entries, 'bin_bytes', bin.bytes, 'bin_spare_entries', bin.spare_entries,
    'bin_spare_bytes', bin.spare_bytes, 'bin_most', bin.most, 'bin_most_bytes', bin.most_bytes
  )
end

local function bin_put(digest, entry, since, spare)
  redis.call('ZADD', KEY.rejected_order, since, digest)
  redis.call('HSET', KEY.rejected, digest, entry)
  bin.entries = bin.entries + 1
  bin.bytes = bin.bytes + #entry
  if not spare then return end
  redis.call('ZADD', KEY.rejected_spare, since, digest)
  bin.spare_entries = bin.spare_entries + 1
  bin.spare_bytes = bin.spare_bytes + #entry
end

-- Returns whether it was there.
local function bin_take(digest)
  local size = bin_size(digest)
  local was_spare = redis.call('ZREM', KEY.rejected_spare, digest) == 1
  redis.call('HDEL', KEY.rejected, digest)
  if redis.call('ZREM', KEY.rejected_order, digest) == 0 then return false end
  bin.entries = bin.entries - 1
  bin.bytes = bin.bytes - size
  if was_spare then
    bin.spare_entries = bin.spare_entries - 1
    bin.spare_bytes = bin.spare_bytes - size
  end
  return true
end

local function bin_make_room()
  while bin.entries > bin.most or bin.bytes > bin.most_bytes do
    local spare = redis.call('ZRANGE', KEY.rejected_spare, 0, 0)[1]
    local oldest = spare or redis.call('ZRANGE', KEY.rejected_order, 0, 0)[1]
    if not oldest then return end
    if bin_take(oldest) then count(spare and 'rejected_spared' or 'rejected_overflow', 1) end
  end
end
