-- Health of a resource of accounting.ledgerport.dev by its conditions, which follow kstatus: Healthy when Ready is True,
-- Degraded while a person must change something, Progressing while the operator works on it or will try again.
local health = { status = "Progressing", message = "the operator has not looked at it yet" }
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "it is being deleted"
  return health
end
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end
local last = ""
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    health.message = condition.reason .. ": " .. condition.message
    if condition.status == "True" and health.status == "Progressing" then
      health.status = "Healthy"
      if obj.spec.suspend == true then
        health.status = "Suspended"
      end
    end
  elseif condition.type == "LastRunSucceeded" and condition.status == "False" then
    last = "; " .. condition.reason .. ": " .. condition.message
  elseif condition.type == "Stalled" and condition.status == "True" then
    health.status = "Degraded"
  end
end
health.message = health.message .. last
return health
