// Refuses parameters that cannot work together. A value outside of the allowed ones stops a deployment when it is
// validated, and its error quotes the value: a sentence. (`fail` would say it as well; checkov cannot read it yet.)
targetScope = 'subscription'

@description('What is wrong; empty: nothing.')
@allowed([
  ''
])
param refusal string

output agreed bool = empty(refusal)
