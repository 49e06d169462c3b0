"""integrations: the same routing and recovery inside other people's frameworks; each imported only when used."""
