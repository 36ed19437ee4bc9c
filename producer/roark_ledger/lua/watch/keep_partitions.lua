#!lua flags=allow-oom
-- Writes down at home how many partitions there are, where that is lost: on a home that was emptied. See placing.py.
--
-- ARGV  1 now   2 how many
-- Returns 1 where it was lost, else 0.

-- While calls are moved into them, the end of that writes it down.
if redis.call('HEXISTS', KEY.promises, 'moving') == 1 then return 0 end
return redis.call('HSETNX', KEY.promises, 'partitions', ARGV[2])
