-- Takes a call out of those by which the lane tells what happened.
local function is_no_example_any_more(id)
  for _, name in ipairs({ 'refusals', 'failures', 'failures_before' }) do
    local text = redis.call('HGET', KEY.lane, name)
    local found, others = text and cjson.decode(text) or { calls = {} }, {}
    for _, one in ipairs(found.calls) do
      if one ~= id then others[#others + 1] = one end
    end
    if #others < #found.calls then
      -- cjson writes an empty list as an object, which has no length either.
      found.calls = others
      redis.call('HSET', KEY.lane, name, cjson.encode(found))
    end
  end
end
