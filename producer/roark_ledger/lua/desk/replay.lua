#!lua flags=allow-oom
-- Sends dead letters, and unconfirmed deliveries, again: they go to the replay queue with their tries counted anew, their
-- history kept.
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `replayed`, or the state that it is in instead, or `unknown`.

local results, changed = {}, {}

-- Which of the two moves makes the call ready again, nil where none does.
local function way_back(id, record)
  if LEGAL.replay[record.state] then return 'replay' end
  if LEGAL.resend[record.state] and redis.call('ZSCORE', KEY.unconfirmed, id) then return 'resend' end
end

for i = 3, #ARGV do
  local id = ARGV[i]
  local record = read(id)
  local was = record.state
  local name = way_back(id, record)
  if name then
    record.attempts = 0
    record.deaths = 0
    record.note = '-'
    move(id, record, name, now, 'p')
    tell(id, 'replayed', ARGV[2])
    count('replayed', 1)
    results[#results + 1] = 'replayed'
    changed[#changed + 1] = id
  else
    results[#results + 1] = was
  end
end
if #changed > 0 then log_deed('replay', ARGV[2], #changed, changed) end
return results
