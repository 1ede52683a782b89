-- Takes reports out of the outbox.
-- KEYS  1 counters   2 outbox by due time   3 outbox reports
-- ARGV  per item: id, brand
for at = 1, #ARGV, 2 do
  if redis.call('HDEL', KEYS[3], ARGV[at]) == 1 then
    redis.call('ZREM', KEYS[2], ARGV[at])
    redis.call('HINCRBY', KEYS[1], ARGV[at + 1] .. ':o', -1)
  end
end
return 'ok'
