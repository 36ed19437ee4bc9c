#!lua flags=allow-oom
-- Learns what came of uploads that started by permits, as deliver.lua, defer.lua, bury.lua and refuse.lua do where the
-- reports lie here, and ends their permits. Of a refusal it says what it means for its report.
--
-- needs _flow.lua
-- needs _permits.lua
-- needs _judging.lua
--
-- ARGV  1 now   2 the lane's rules   3 pause (ms): how long Roark asked all of us to wait, 0 for not at all
--       4 longest gap between probes of a held lane (ms)   5 most sends of one report, whatever else is the case
--       6 reports that are ready in all partitions, as far as the caller knows
--       then for each upload: permit, call id, outcome, how long it took (ms), reason's code, what was said
--       outcome is `good`, `refused`, `refused-anew` (it is another report, or its call was erased since: what is known of
--       earlier refusals does not count), `unjudged` (given back, or its lease was lost), or a signal as in defer.lua, with
--       `dead` before it where the report is a dead letter now
-- Returns for each upload 1, or 0 where its permit had ended; for a refusal how often its report was refused in all, as a
-- negative number where that is the report's own matter, so that it is a dead letter; behind them { what, why } for what
-- the lane came to.

local FIRST, EACH = 7, 6
local rules, longest_gap, most_sends = flow_rules(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local results, refused, passed = {}, {}, {}
local last_began, last_ended, any = 0, 0, false

local function is_alone() return tonumber(ARGV[6]) + redis.call('ZCARD', KEY.uploading) == 0 end

local function note_upload(id, token, began, outcome, took, code)
  any = true
  if outcome == 'good' then
    time_answer(began, took)
    note_good(id, token, began)
    passed[#passed + 1] = id
    if began > last_began then last_began, last_ended = began, began + took end
    if began == last_began then last_ended = math.max(last_ended, began + took) end
  elseif outcome == 'unjudged' then
    probe_is_back(id, token)
  else
    local dead, signal = string.match(outcome, '^(%a*)(%d)$')
    if dead == 'dead' then redis.call('HDEL', KEY.refused, id) end
    note(rules, id, token, began, tonumber(signal), code)
  end
end

open_lane_of_permits()
for i = FIRST, #ARGV, EACH do
  local name, id, outcome = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local permit = parse_permit(name)
  local is_given = permit and end_permit(name, permit)
  results[#results + 1] = is_given and 1 or 0
  if is_given and outcome == 'refused-anew' then redis.call('HDEL', KEY.refused, id) end
  if is_given and is_probe(name, permit.token) then
    -- From here on it goes by the name of its call.
    lane.probe = id .. ' ' .. permit.token
    if lane.probe_at then lane.stale = past_refusals(id).last >= 0 and 1 or nil end
  end
  if string.sub(outcome, 1, 7) == 'refused' then
    refused[#refused + 1] = { at = i, place = #results, permit = permit, is_given = is_given }
  elseif is_given then
    note_upload(id, permit.token, permit.since, outcome, tonumber(ARGV[i + 3]), ARGV[i + 4])
  end
end

pause(tonumber(ARGV[3]))
if any then conclude(rules) end
went_well(rules, #passed)
if #passed > 0 and note_passed(last_began, last_ended, passed) then hold_was_wrong() end

-- After what was good, which says that it is not about all of us.
local function refuse(id, token, began, took, code, said)
  local ended = began + took
  local found = judge_refusal(id, began, ended, most_sends)
  if found.is_dead then
    redis.call('HDEL', KEY.refused, id)
  else
    redis.call('HSET', KEY.refused, id, found.remembered)
  end
  if is_probe(id, token) then probe_was_refused(said, longest_gap) end
  if not found.passed then note_refusal(id, found.past, began, ended, code, said, longest_gap, is_alone) end
  return found.is_dead and -found.total or found.total
end

for _, one in ipairs(refused) do
  local id, code, said = ARGV[one.at + 1], ARGV[one.at + 4], ARGV[one.at + 5]
  if one.is_given then
    said = code .. (said == '' and '' or ' ' .. said)
    results[one.place] = refuse(id, one.permit.token, one.permit.since, tonumber(ARGV[one.at + 3]), code, said)
  else
    -- Told before, or too late to be told: it is not counted twice, and its report waits.
    results[one.place] = math.max(1, past_refusals(id).total)
  end
end
close_lane()
return with_news(results)
