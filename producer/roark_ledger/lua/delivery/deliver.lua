#!lua flags=allow-oom
-- Records that Roark took these reports, drops their payloads, and lets a newer report that came meanwhile
-- follow. Does nothing for a caller that lost its lease.
--
-- Where Roark did not name the call it is unconfirmed: its payload is kept, and it is not on the list of those that are
-- forgotten one day. An upload that lost its lease and names the call confirms it, if it was of the same report.
--
-- needs _flow.lua
-- needs _route.lua
--
-- ARGV  1 now   2 keep: 1 keeps the payload, 0 drops it   3 the lane's rules
--       4 pause (ms): how long Roark asked all of us to wait, 0 for not at all
--       5 after how many ms what Roark took is looked up there, 0: never
--       6 a letter for each report: t in Roark in time after its call's end, l to be looked up, b both, - neither
--       then for each report: call id, token, Roark's id or -, history line (JSON), how long it took (ms)
-- Returns for each report 1, or 0 where the lease was lost; behind them { what, why } for what the lane came to.

local FIRST = 7
-- After an incident all is looked up for a while, but no more than can be: looks have a rate.
local AFTER_MS, MOST_OPEN = 600000, 5000

local rules = flow_rules(ARGV[3])
local first_look = tonumber(ARGV[5])
local results = {}
local ids, records, lines, told = {}, {}, {}, {}

for i = FIRST, #ARGV, 5 do ids[#ids + 1] = ARGV[i] end
for i, text in ipairs(#ids > 0 and redis.call('HMGET', KEY.records, unpack(ids)) or {}) do
  -- A call that comes twice has one record: its first delivery ends the lease.
  records[ids[i]] = records[ids[i]] or parse(text)
end

local delivered, written, silent = {}, {}, {}
local named, unnamed = {}, {}
local last_began, last_ended = 0, 0
local letters, in_time = {}, 0

local function deliver(id, record, note)
  record.state = LEGAL.deliver[record.state]
  record.since = now
  record.token = 0
  record.attempts = record.attempts + 1
  record.note = note
  if is_silent(record) then silent[#silent + 1] = id end
  delivered[#delivered + 1] = id
  written[#written + 1] = id
  written[#written + 1] = format(record)
  if note == '-' then
    unnamed[#unnamed + 1] = now
    unnamed[#unnamed + 1] = id
  else
    named[#named + 1] = id
  end
end

-- The sample, and what tells whether an incident did harm: what failed before, and all that comes soon after it.
local function ask_for_receipts()
  if first_look == 0 then return end
  local is_after = lane.resumed and now - lane.resumed < AFTER_MS
  local asked, room = {}, nil
  for _, id in ipairs(named) do
    local is_sampled = letters[id] == 'l' or letters[id] == 'b'
    if not is_sampled and (is_after or told[id]) then
      room = room or MOST_OPEN - redis.call('ZCARD', KEY.receipts)
      is_sampled, room = room > 0, room - 1
    end
    if is_sampled then
      asked[#asked + 1] = now + first_look
      asked[#asked + 1] = id
    end
  end
  if #asked > 0 then redis.call('ZADD', KEY.receipts, unpack(asked)) end
end

-- All at once: a command for each report and each place would cost three times as much.
local function record_all()
  if #delivered == 0 then return end
  redis.call('ZREM', KEY.uploading, unpack(delivered))
  redis.call('HSET', KEY.records, unpack(written))
  if #named > 0 then
    redis.call('RPUSH', KEY.delivered, unpack(named))
    if ARGV[2] == '0' then redis.call('HDEL', KEY.payloads, unpack(named)) end
  end
  if #unnamed > 0 then redis.call('ZADD', KEY.unconfirmed, unpack(unnamed)) end
  count('delivered', #delivered)
  count('unconfirmed', #unnamed / 2)
  note_unnamed(#unnamed / 2, #delivered)
  if #silent == 0 then return end
  redis.call('ZREM', KEY.silent, unpack(silent))
  count('delivered_without_audio', #silent)
end

-- A newer report took its place since, so that what is named is another one.
local function was_replaced(id, record)
  local history = redis.call('HGET', KEY.histories, id) or ''
  return record.revision ~= '0' or string.find(history, ' replaced ', 1, true) or string.find(history, ' edited ', 1, true)
end

local function confirm_late(id, record, name, line)
  if name == '-' or not record or record.state ~= 'delivered' or was_replaced(id, record) then return end
  if confirm(id, record, 'confirmed', line, ARGV[2] == '1') then
    record.note = name
    write(id, record)
    count('confirmed', 1)
  end
end

open_lane()
for i = FIRST, #ARGV, 5 do
  local id, token = ARGV[i], ARGV[i + 1]
  local record = records[id]
  if holds(record, token) then
    local began = record.since
    time_answer(began, tonumber(ARGV[i + 4]))
    lines[id] = ARGV[i + 3]
    local letter = string.sub(ARGV[6], (i - FIRST) / 5 + 1, (i - FIRST) / 5 + 1)
    letters[id] = letter
    if (letter == 't' or letter == 'b') and record.revision == '0' then in_time = in_time + 1 end
    told[id] = record.attempts > 0 or record.deaths > 0 or record.priority ~= 'f' or record.revision ~= '0'
    deliver(id, record, ARGV[i + 2])
    local ended = began + tonumber(ARGV[i + 4])
    if began > last_began then last_began, last_ended = began, ended end
    if began == last_began then last_ended = math.max(last_ended, ended) end
    note_good(id, token, began)
    results[#results + 1] = 1
  else
    confirm_late(id, record, ARGV[i + 2], ARGV[i + 3])
    results[#results + 1] = 0
  end
end
record_all()
count('calls_in_time', in_time)
ask_for_receipts()
forget_routes(delivered)
local any_beside = redis.call('HLEN', KEY.besides) > 0
for _, id in ipairs(delivered) do
  replay_ended(id, 'delivered', '', lines[id])
  local is_unnamed = records[id].note == '-'
  if told[id] or is_unnamed then
    -- Only what was dead before can have been edited.
    if ARGV[2] == '0' and not is_unnamed then redis.call('HDEL', KEY.originals, id) end
    tell(id, 'delivered', lines[id])
  end
  if any_beside then take_beside(id, records[id]) end
end
pause(tonumber(ARGV[4]))
conclude(rules)
went_well(rules, #delivered)
if #delivered > 0 then
  if note_passed(last_began, last_ended, delivered) then hold_was_wrong() end
  measure_speed()
end
close_lane()
return with_news(results)
