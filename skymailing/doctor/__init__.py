"""What an operator can get wrong, each part asked and told with what to do; run by `flask doctor`."""
