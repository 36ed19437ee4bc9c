#!lua flags=allow-oom
-- Takes note of what lies in a webhook's spool and cannot be handed in.
--
-- ARGV  1 now   2 whose spool   3 JSON of promises.py, empty when there is nothing any more
-- Returns nothing.

local field = 'unread ' .. ARGV[2]
if ARGV[3] == '' then redis.call('HDEL', KEY.promises, field) else redis.call('HSET', KEY.promises, field, ARGV[3]) end
return 0
