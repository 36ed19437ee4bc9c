#!lua flags=no-writes,allow-oom
-- A page of the dead letters, or of the discarded, oldest first, behind the one on which the last page ended.
--
-- Pages do not shift when letters come or go between them: a page begins behind a letter's time and id, whether that
-- letter is still there or not, and ends before what died later than the first page was read.
--
-- ARGV  1 now   2 `dead` or `discarded`   3 oldest (ms) wanted   4 youngest (ms) wanted; 0: all that are there now
--       5 time (ms) and 6 call id of the last letter of the page before, or two empty strings
--       7 most   8 properties: 1 wants them, 0 does without
-- Returns { youngest (ms), more, letter … }: more is 1 where another page may follow; a letter is
--         { call id, since (ms), record, history, edited (1 or 0), properties or '' }.

local MOST_BYTES = 500000

local key = KEY[ARGV[2]]
local oldest, youngest = tonumber(ARGV[3]), tonumber(ARGV[4])
local last_since, last_id = ARGV[5], ARGV[6]
local most, with_properties = tonumber(ARGV[7]), ARGV[8] == '1'

-- Strings are compared as Redis orders them. Lua's own `<` goes by the server's language.
local function is_behind(a, b)
  for i = 1, math.min(#a, #b) do
    local left, right = string.byte(a, i), string.byte(b, i)
    if left ~= right then return left > right end
  end
  return #a > #b
end

local function first_rank()
  if last_id == '' then return redis.call('ZCOUNT', key, '-inf', '(' .. oldest) end
  if tonumber(redis.call('ZSCORE', key, last_id) or -1) == tonumber(last_since) then
    return redis.call('ZRANK', key, last_id) + 1
  end
  -- It was taken out meanwhile: look for its place among those that died in the same ms.
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. last_since)
  local high = redis.call('ZCOUNT', key, '-inf', last_since)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_behind(redis.call('ZRANGE', key, middle, middle)[1], last_id) then high = middle else low = middle + 1 end
  end
  return low
end

local TRACE_BYTES = 25

-- Packed reports begin with the length of their properties; its highest bit says that a trace's context is between
-- the two, the next one that there is a checksum behind all: see packing.py.
local function properties_of(packed)
  if not packed then return '' end
  local a, b, c, d = string.byte(packed, 1, 4)
  local first = a >= 128 and 5 + TRACE_BYTES or 5
  return string.sub(packed, first, first - 1 + ((a % 64 * 256 + b) * 256 + c) * 256 + d)
end

-- A letter may be younger than now, where the server's clock was set back.
local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
local there_now = math.max(now, tonumber(last[2] or 0))
youngest = youngest == 0 and there_now or math.min(youngest, there_now)

local first = first_rank()
local rows = redis.call('ZRANGE', key, first, first + most - 1, 'WITHSCORES')
local page = { youngest, #rows == 2 * most and 1 or 0 }
local bytes = 0
for i = 1, #rows, 2 do
  local id, since = rows[i], tonumber(rows[i + 1])
  if since > youngest then
    page[2] = 0
    break
  end
  if bytes > MOST_BYTES then
    page[2] = 1
    break
  end
  local history = redis.call('HGET', KEY.histories, id) or ''
  local packed = with_properties and redis.call('HGET', KEY.payloads, id)
  bytes = bytes + #history + (packed and #packed or 0)
  page[#page + 1] = {
    id, since, redis.call('HGET', KEY.records, id), history, redis.call('HEXISTS', KEY.originals, id),
    with_properties and properties_of(packed) or '',
  }
end
return page
