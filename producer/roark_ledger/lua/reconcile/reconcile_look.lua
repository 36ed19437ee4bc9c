#!lua flags=no-writes,allow-oom
-- Says of each call that Vapi lists where its report is.
--
-- ARGV  1 now   then call ids
-- Returns for each the state of its report; of a delivered one, by a blank, Roark's id of it, and `seen` or `unseen` where
-- it was looked up there; `unconfirmed` for a delivered one that Roark gave no id, `expired` for one
-- that retention removed, `erased`, or `unknown`.

local function told_of_delivery(id, record)
  local told = 'delivered ' .. record.note
  local history = redis.call('HGET', KEY.histories, id)
  if not history then return told end
  local looked_up = string.match(history, '.* (u?n?seen) {')
  return looked_up and told .. ' ' .. looked_up or told
end

local answers = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local record = read(id)
  local answer = record.state
  if answer == 'delivered' then
    answer = redis.call('ZSCORE', KEY.unconfirmed, id) and 'unconfirmed' or told_of_delivery(id, record)
  end
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
