#!lua flags=no-writes,allow-oom
-- Hands out what is known of calls that were not moved yet, for the partition that is to adopt them.
--
-- ARGV  1 now   then the call ids
-- Returns { how many of them were looked at, call … }: at most as many as lie in MOST_BYTES, but one at least, and of
--         those what is known at all. A call is a row as moving_adopt.lua takes it, '' for what there is not.

local MOST_BYTES = 500000

local HASHES = { 'payloads', 'histories', 'besides', 'revisions', 'originals', 'routes' }
local SCORES = { 'unconfirmed', 'perishable', 'fading', 'silent', 'receipts', 'missing', 'removed' }
local listed = redis.call('EXISTS', KEY.missing, KEY.removed) > 0
local any_erased = redis.call('SCARD', KEY.erased) > 0

local function size_of(id)
  local bytes = 0
  for _, name in ipairs(HASHES) do bytes = bytes + redis.call('HSTRLEN', KEY[name], id) end
  return bytes
end

local function score_in(key, id)
  local score = redis.call('ZSCORE', key, id)
  return score and string.format('%.0f', score) or ''
end

local function row_of(id, text)
  local stands = text and place(parse(text))
  local erased = any_erased and is_erased(id, true)
  local row = { id, text or '', erased and '1' or '', stands and score_in(stands, id) or '' }
  for _, name in ipairs(HASHES) do row[#row + 1] = text and redis.call('HGET', KEY[name], id) or '' end
  for _, name in ipairs(SCORES) do row[#row + 1] = (text or listed) and score_in(KEY[name], id) or '' end
  local is_known = text or erased or row[#row] ~= '' or row[#row - 1] ~= ''
  return is_known and row or nil
end

local found, bytes, looked_at = { 0 }, 0, 0
for i = 2, #ARGV do
  local text = redis.call('HGET', KEY.records, ARGV[i])
  if text then bytes = bytes + size_of(ARGV[i]) end
  if looked_at > 0 and bytes > MOST_BYTES then break end
  found[#found + 1] = row_of(ARGV[i], text)
  looked_at = looked_at + 1
end
found[1] = looked_at
return found
