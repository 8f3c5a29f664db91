-- Ask the worker of a running job to stop.   KEYS[1] the job.   Answer: 1 if the job is running
if redis.call('HGET', KEYS[1], 'state') ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'cancel', '1')
return 1
