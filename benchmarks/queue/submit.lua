-- Each request has another source, so that no two jobs do equal work.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local count = 0
function request()
  count = count + 1
  local url = '"http://127.0.0.1:9/page-' .. count .. '"'
  return wrk.format(nil, nil, nil, '{"kind":"extract","source":{"url":' .. url .. '}}')
end
