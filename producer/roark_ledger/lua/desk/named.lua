#!lua flags=no-writes,allow-oom
-- Calls by name, as lists show them: what is told of each, without its report.
--
-- ARGV  1 now   then the call ids
-- Returns { call ids, records, histories, edited (1 or 0) }, columns of a line for each call. Of one without a record,
--         `erased` or `unknown` stands in the place of that.

local ids = { unpack(ARGV, 2) }

local function fields(hash)
  return #ids > 0 and redis.call('HMGET', hash, unpack(ids)) or {}
end

local records, histories, edited = fields(KEY.records), fields(KEY.histories), {}
local any_edited = redis.call('HLEN', KEY.originals) > 0
for i, id in ipairs(ids) do
  records[i] = records[i] or is_erased(id, true) and 'erased' or 'unknown'
  histories[i] = histories[i] or ''
  edited[i] = any_edited and redis.call('HEXISTS', KEY.originals, id) or 0
end
return { ids, records, histories, edited }
