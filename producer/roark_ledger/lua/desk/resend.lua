#!lua flags=allow-oom
-- Sends unconfirmed deliveries again: they go to the replay queue with their tries counted anew, their history kept.
-- Dead letters are sent again by replay jobs.
--
-- needs _by_hand.lua
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `replayed`, or the state that it is in instead, or `unknown`.

return by_hand('replay', function(id, record)
  if not (LEGAL.resend[record.state] and redis.call('ZSCORE', KEY.unconfirmed, id)) then return end
  record.attempts = 0
  record.deaths = 0
  record.note = '-'
  move(id, record, 'resend', now, 'p')
  tell(id, 'replayed', ARGV[2])
  count('replayed', 1)
  return 'replayed'
end)
