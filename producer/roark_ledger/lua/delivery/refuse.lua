#!lua flags=allow-oom
-- Records that Roark, or whatever answered, refused these reports in a way that may be true for all of us, or for them
-- alone; _refusals.lua says how that is told. They wait, or are dead letters, and the lane may be put on hold, or learns
-- what its probe came to. Does nothing for a caller that lost its lease.
--
-- needs _flow.lua
-- needs _route.lua
-- needs _judging.lua
-- needs _refusing.lua
--
-- ARGV  1 now   2 longest gap between probes of a held lane (ms)   3 most sends of one report, whatever else is the case
--       then for each report: call id, token, reason's code, what was said, how long it took (ms), history line (JSON),
--       history line (JSON) if it is a dead letter now
-- Returns for each report 1 when it waits, 2 when it is a dead letter, or 0 where the lease was lost; behind them
-- { what, why } for what the lane came to.

local longest_gap, most_sends = tonumber(ARGV[2]), tonumber(ARGV[3])

local function is_alone() return ready_count() + redis.call('ZCARD', KEY.uploading) == 0 end

local function refuse(id, token, record, code, said, took, line, last_words)
  local began = record.since
  local ended = began + took
  local found = judge_refusal(id, began, ended, most_sends)
  local result = record_refusal(id, record, code, found.is_dead, found.total, found.remembered, line, last_words)
  if is_probe(id, token) then probe_was_refused(said, longest_gap) end
  if not found.passed then note_refusal(id, found.past, began, ended, code, said, longest_gap, is_alone) end
  return result
end

local results = {}
open_lane()
for i = 4, #ARGV, 7 do
  local id, token, code = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local record = read(id)
  if holds(record, token) then
    local said = code .. (ARGV[i + 3] == '' and '' or ' ' .. ARGV[i + 3])
    results[#results + 1] = refuse(
      id, token, record, code, said, tonumber(ARGV[i + 4]), ARGV[i + 5], ARGV[i + 6]
    )
  else
    results[#results + 1] = 0
  end
end
close_lane()
return with_news(results)
