-- When removing stops, for sources where it is not the usual thresholds. The cloud decides this, and no upload.
create table removal_thresholds (
    source integer primary key references sources (id),
    remove_percent integer not null check (remove_percent between 0 and 100),
    remove_count integer not null check (remove_count >= 0),
    set_by text not null,
    set_ms integer not null
) strict;

-- Exact numbers of records that somebody says may be removed, each for one upload.
create table removal_confirmations (
    id text primary key,
    source integer not null references sources (id),
    records integer not null check (records > 0),
    -- Null for the host's own token.
    token text,
    made_by text not null,
    reason text,
    made_ms integer not null,
    ends_ms integer not null,
    -- The upload that it was used for.
    run text,
    step text
) strict, without rowid;

create index removal_confirmations_of on removal_confirmations (source, made_ms);
