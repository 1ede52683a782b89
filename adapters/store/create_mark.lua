-- Makes the mark where there is none, and returns the one that stands.
-- KEYS  1 mark      ARGV  1 format   2 generation   3 index secret's fingerprint   4 revision
if redis.call('HEXISTS', KEYS[1], 'generation') == 0 then
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'generation', ARGV[2], 'fingerprint', ARGV[3], 'revision', ARGV[4])
end
return redis.call('HMGET', KEYS[1], 'format', 'generation', 'fingerprint', 'revision')
