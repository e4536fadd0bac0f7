"""Events about an owner's data, which webhooks report: recorded in the transaction of the change."""
