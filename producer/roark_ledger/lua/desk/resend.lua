#!lua flags=allow-oom
-- Sends unconfirmed deliveries again: they go to the replay queue with their tries counted anew, their history kept.
-- Dead letters are sent again by replay jobs.
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `replayed`, or the state that it is in instead, or `unknown`.

local results, changed = {}, {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local record = read(id)
  if LEGAL.resend[record.state] and redis.call('ZSCORE', KEY.unconfirmed, id) then
    record.attempts = 0
    record.deaths = 0
    record.note = '-'
    move(id, record, 'resend', now, 'p')
    tell(id, 'replayed', ARGV[2])
    count('replayed', 1)
    results[#results + 1] = 'replayed'
    changed[#changed + 1] = id
  else
    results[#results + 1] = record.state
  end
end
if #changed > 0 then log_deed('replay', ARGV[2], #changed, changed) end
return results
