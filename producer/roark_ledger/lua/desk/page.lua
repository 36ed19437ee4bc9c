#!lua flags=no-writes,allow-oom
-- A page of the reports that stand in one place, in its order, behind the one on which the last page ended.
--
-- Pages do not shift when reports come or go between them: a page begins behind a report's score and id, whether that
-- report is still there or not, and leaves out what came later than the first page was read.
--
-- ARGV  1 now   2 place: a sorted set of reports, by its name in keys.py, or `delivered`, which goes from the latest back
--       3 oldest (ms) wanted   4 youngest (ms) wanted; 0: all that are there now
--       5 score and 6 call id of the last report of the page before, or two empty strings
--       7 most   8 properties: 1 wants them, 0 does without
--       9 reports: `all` wants them packed, and the originals of edited ones; `unnamed` wants those whose history names
--         no assistant; `none`
-- Returns { youngest (ms), more, call ids, scores, records, histories, edited (1 or 0), properties, packed, originals }:
--         more is 1 where another page may follow. What follows are columns, of as many lines as there are reports, or
--         of none where nothing of that is wanted or there: a table for each report takes half of the time. Of
--         `delivered` the score is when. A page ends before it has MOST_BYTES, unless its first report has more.

local MOST_BYTES, HISTORIES_AT_ONCE = 500000, 32

local key = KEY[ARGV[2]]
local oldest, youngest = tonumber(ARGV[3]), tonumber(ARGV[4])
local last_score, last_id = ARGV[5], ARGV[6]
-- Where the score says since when a report stands there, what is too old or too young need not be read.
local by_since = BY_SINCE[ARGV[2]]
-- Further back than that, a list is searched for too long.
local RECENT = 100000
-- So many are delivered in one moment at most, but for two scripts in the same ms.
local AT_ONCE = 2000
local most, with_properties, reports = tonumber(ARGV[7]), ARGV[8] == '1', ARGV[9]

-- Strings are compared as Redis orders them. Lua's own `<` goes by the server's language.
local function is_behind(a, b)
  for i = 1, math.min(#a, #b) do
    local left, right = string.byte(a, i), string.byte(b, i)
    if left ~= right then return left > right end
  end
  return #a > #b
end

local function first_rank()
  if last_id == '' then return by_since and redis.call('ZCOUNT', key, '-inf', '(' .. oldest) or 0 end
  if tonumber(redis.call('ZSCORE', key, last_id) or -1) == tonumber(last_score) then
    return redis.call('ZRANK', key, last_id) + 1
  end
  -- It was taken out meanwhile: look for its place among those that died in the same ms.
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. last_score)
  local high = redis.call('ZCOUNT', key, '-inf', last_score)
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
  if not packed or #packed < 4 then return '' end
  local a, b, c, d = string.byte(packed, 1, 4)
  local first = a >= 128 and 5 + TRACE_BYTES or 5
  return string.sub(packed, first, first - 1 + ((a % 64 * 256 + b) * 256 + c) * 256 + d)
end

-- Of the record only this: to read all of it takes several times as long.
local function since_of(record)
  if not record then return 0 end
  local accepted, since = string.match(record, '^[^ ]+ [^ ]+ ([^ ]+) ([^ ]+)')
  return tonumber(accepted) + tonumber(since)
end

local function delivered_at(i) return since_of(redis.call('HGET', KEY.records, redis.call('LINDEX', key, i))) end

-- The list is in the order of delivery, but for those that were confirmed late: where those begin that were delivered
-- at this moment or later.
local function delivered_from(moment, size)
  local low, high = 0, size
  while low < high do
    local middle = math.floor((low + high) / 2)
    if delivered_at(middle) < moment then low = middle + 1 else high = middle end
  end
  return low
end

-- Where the last report of the page before stands, or nil. Looked for among those of its moment first: to search the
-- list from its end costs as much as there is before it, on each page anew.
local function place_of_last(first, size)
  local behind = math.min(delivered_from(tonumber(last_score) + 1, size), first + AT_ONCE)
  local some = first < behind and redis.call('LRANGE', key, first, behind - 1) or {}
  for i = #some, 1, -1 do
    if some[i] == last_id then return first + i - 1 end
  end
  local at = redis.call('LPOS', key, last_id, 'RANK', -1, 'MAXLEN', RECENT)
  return at and delivered_at(at) == tonumber(last_score) and at or nil
end

-- The latest first, from the young end of the list.
local function delivered_ids()
  local size = redis.call('LLEN', key)
  local last = size - 1
  if last_id ~= '' then
    -- It was delivered once more meanwhile, or is forgotten, where it has no place: go on with what is older.
    local first = delivered_from(tonumber(last_score), size)
    last = (place_of_last(first, size) or first) - 1
  end
  local ids = {}
  if last < 0 then return ids end
  local page = redis.call('LRANGE', key, math.max(0, last - most + 1, size - RECENT), last)
  for i = #page, 1, -1 do ids[#ids + 1] = page[i] end
  return ids
end

local function ranked_ids()
  local first = first_rank()
  local rows = redis.call('ZRANGE', key, first, first + most - 1, 'WITHSCORES')
  local ids, scores = {}, {}
  for i = 1, #rows, 2 do
    ids[#ids + 1] = rows[i]
    scores[#ids] = tonumber(rows[i + 1])
  end
  return ids, scores
end

-- A letter may be younger than now, where the server's clock was set back.
local there_now = now
if by_since then there_now = math.max(now, tonumber(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2] or 0)) end
youngest = youngest == 0 and there_now or math.min(youngest, there_now)

local ids, scores
if ARGV[2] == 'delivered' then ids = delivered_ids() else ids, scores = ranked_ids() end
local page = { youngest, #ids == most and 1 or 0 }
local bytes = 0

-- Whether the page ends in front of this report, and whether the report is on it.
local function judge(since)
  if scores then return by_since and since > youngest, by_since or since <= youngest or since > now end
  return since < oldest, since <= youngest
end

-- A quote inside of a text has a backslash before it: where this is found, it is a name.
local function names_assistant(history)
  return string.find(history, '"assistant":', 1, true) ~= nil
end

local function fields(hash, some, first, last)
  return #some > 0 and redis.call('HMGET', hash, unpack(some, first or 1, last or #some)) or {}
end

local records, histories = fields(KEY.records, ids), {}

-- Some at a time: a report that was tried often has 10 kB of history, and the page may end in front of it.
local function history_of(i)
  if not histories[i] then
    local last = math.min(#ids, i + HISTORIES_AT_ONCE - 1)
    for at, history in ipairs(fields(KEY.histories, ids, i, last)) do histories[i + at - 1] = history or '' end
  end
  return histories[i]
end

local any_edited = redis.call('HLEN', KEY.originals) > 0
-- Whose payloads are to be read, the place of each among those, and which of them are to come whole.
local read, read_at, is_whole = {}, {}, {}

-- Says whether a report and what is wanted of it have room on this page, and takes note of what is to be read. Lengths
-- are asked for first: one report may have 25 MB, and is to be alone then.
local function takes(i, id)
  local history = history_of(i)
  is_whole[i] = reports == 'all' or reports == 'unnamed' and not names_assistant(history)
  local is_read, size = is_whole[i] or with_properties, #history
  if is_read then size = size + redis.call('HSTRLEN', KEY.payloads, id) end
  if reports == 'all' and any_edited then size = size + redis.call('HSTRLEN', KEY.originals, id) end
  if bytes > 0 and bytes + size > MOST_BYTES then return false end
  bytes = bytes + size
  if is_read then
    read[#read + 1] = id
    read_at[i] = #read
  end
  return true
end

local stood = {}
for i, id in ipairs(ids) do
  local record = records[i]
  local since = by_since and scores[i] or since_of(record)
  local is_over, is_meant = judge(since)
  if is_over then
    page[2] = 0
    break
  end
  local is_shown = record and is_meant
  if is_shown and not takes(i, id) then
    page[2] = 1
    break
  end
  -- What is not meant has no record here; it is there for its place, behind which the next page begins.
  if not is_shown then records[i], histories[i] = '', '' end
  stood[i] = scores and scores[i] or since
end

for _, column in ipairs({ ids, records, histories }) do
  for i = #column, #stood + 1, -1 do column[i] = nil end
end

local edited, properties, packed, originals = {}, {}, {}, {}
local payloads = fields(KEY.payloads, read)
local first_ones = reports == 'all' and any_edited and fields(KEY.originals, read)
for i, id in ipairs(ids) do
  local at = read_at[i]
  if any_edited then edited[i] = redis.call('HEXISTS', KEY.originals, id) end
  if with_properties then properties[i] = properties_of(payloads[at]) end
  if reports ~= 'none' then packed[i] = is_whole[i] and payloads[at] or '' end
  if first_ones then originals[i] = first_ones[at] or '' end
end
for _, column in ipairs({ ids, stood, records, histories, edited, properties, packed, originals }) do
  page[#page + 1] = column
end
return page
