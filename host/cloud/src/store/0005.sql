-- The token that set thresholds; null for the host's own, and for those that were set before anybody asked.
alter table removal_thresholds add column token text;
