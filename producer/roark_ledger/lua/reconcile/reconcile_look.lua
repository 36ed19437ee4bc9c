#!lua flags=no-writes,allow-oom
-- Says of each call that Vapi lists where its report is.
--
-- ARGV  1 now   then call ids
-- Returns for each the state of its report, `unconfirmed` for a delivered one that Roark gave no id, `expired` for one
-- that retention removed, `erased`, or `unknown`.

local answers = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local record = read(id)
  local answer = record.state
  if answer == 'delivered' and redis.call('ZSCORE', KEY.unconfirmed, id) then answer = 'unconfirmed' end
  if answer == 'unknown' then
    if is_erased(id, true) then
      answer = 'erased'
    elseif redis.call('ZSCORE', KEY.removed, id) then
      answer = 'expired'
    end
  end
  answers[#answers + 1] = answer
end
return answers
