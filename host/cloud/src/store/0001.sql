-- The control plane's store. What a target once had is kept: a row holds from `since_ms` until `until_ms`, and is current
-- while that is null. Keys are the first 16 bytes of SHA-256 over what identifies a record, so that rows of a million
-- facts stay short and an upload needs no look-up.

create table sources (
    id integer primary key,
    name text not null unique,
    instance_id text,
    description text,
    connector text not null,
    connector_version text not null,
    connector_sha256 text not null,
    created_ms integer not null,
    -- Whether anything was ever carried out at the target.
    was_applied integer not null default 0
) strict;

-- Who this cloud is, for the markers of what it is master of.
create table cloud (
    id text not null
) strict;

create table runs (
    id text primary key,
    source integer not null references sources (id),
    connector text not null,
    connector_version text not null,
    connector_sha256 text not null,
    began_ms integer not null,
    ended_ms integer,
    outcome text,
    checkpoint text
) strict;
create index runs_by_source on runs (source, began_ms);

create table steps (
    run text not null references runs (id),
    step text not null,
    report text not null,
    primary key (run, step)
) strict, without rowid;

create table uploads (
    run text not null references runs (id),
    step text not null,
    at_ms integer not null,
    complete integer not null,
    receipt text not null,
    primary key (run, step)
) strict, without rowid;

create table gaps (
    run text not null references runs (id),
    step text not null,
    scope text,
    reason text not null
) strict;
create index gaps_by_run on gaps (run, step);

create table users (
    source integer not null references sources (id),
    key blob not null,
    since_ms integer not null,
    until_ms integer,
    external_id text not null,
    user_name text not null,
    display_name text not null,
    email text,
    enabled integer not null,
    machine integer,
    tags text not null,
    primary key (source, key, since_ms)
) strict, without rowid;
create index users_by_name on users (source, user_name, key) where until_ms is null;
create index users_by_email on users (email) where until_ms is null;

create table groups (
    source integer not null references sources (id),
    key blob not null,
    since_ms integer not null,
    until_ms integer,
    external_id text not null,
    name text not null,
    display_name text not null,
    description text not null,
    incomplete integer not null,
    tags text not null,
    primary key (source, key, since_ms)
) strict, without rowid;
create index groups_by_name on groups (source, name, key) where until_ms is null;

create table memberships (
    source integer not null references sources (id),
    key blob not null,
    since_ms integer not null,
    until_ms integer,
    group_id text not null,
    member_kind text not null,
    member_id text not null,
    inherits integer not null,
    assumable integer not null,
    may_pass_on integer not null,
    granted_by text,
    expires_ms integer,
    primary key (source, key, since_ms)
) strict, without rowid;
create index memberships_by_group on memberships (source, group_id) where until_ms is null;

create table objects (
    source integer not null references sources (id),
    key blob not null,
    since_ms integer not null,
    until_ms integer,
    external_id text not null,
    name text not null,
    kind text not null,
    path text not null,
    signature text,
    object_key blob not null,
    description text not null,
    parent_key blob,
    parent_external_id text,
    data_type text,
    reads text not null,
    rights text not null,
    tags text not null,
    primary key (source, key, since_ms)
) strict, without rowid;
create index objects_by_path on objects (source, path, key) where until_ms is null;
create index objects_by_parent on objects (source, parent_key) where until_ms is null;
create index objects_by_ref on objects (source, object_key) where until_ms is null;

-- What facts and usage name: an object may be named that step 2 does not read.
create table object_refs (
    source integer not null references sources (id),
    object_key blob not null,
    kind text not null,
    path text not null,
    signature text,
    primary key (source, object_key)
) strict, without rowid;

create table access_controls (
    source integer not null references sources (id),
    key blob not null,
    since_ms integer not null,
    until_ms integer,
    external_id text not null,
    name text not null,
    actual_name text not null,
    kind text not null,
    description text not null,
    action text not null,
    version text,
    policy text,
    locks text not null,
    internalizable integer not null,
    incomplete integer not null,
    tags text not null,
    primary key (source, key, since_ms)
) strict, without rowid;
create index access_controls_by_name on access_controls (source, name, key) where until_ms is null;

create table members (
    source integer not null references sources (id),
    control_key blob not null,
    key blob not null,
    since_ms integer not null,
    until_ms integer,
    member_kind text not null,
    member_id text not null,
    inherits integer not null,
    assumable integer not null,
    may_pass_on integer not null,
    granted_by text,
    expires_ms integer,
    primary key (source, control_key, key, since_ms)
) strict, without rowid;
create index members_by_member on members (source, member_id) where until_ms is null;

create table facts (
    source integer not null references sources (id),
    control_key blob not null,
    key blob not null,
    since_ms integer not null,
    until_ms integer,
    object_key blob not null,
    permission text not null,
    may_pass_on integer not null,
    granted_by text,
    condition text,
    primary key (source, control_key, key, since_ms)
) strict, without rowid;
create index facts_by_object on facts (source, object_key) where until_ms is null;

-- What objects will get that are created below an object.
create table standings (
    source integer not null references sources (id),
    control_key blob not null,
    key blob not null,
    since_ms integer not null,
    until_ms integer,
    object_key blob not null,
    kind text not null,
    creator text,
    permission text not null,
    may_pass_on integer not null,
    granted_by text,
    primary key (source, control_key, key, since_ms)
) strict, without rowid;

-- Statements are what happened: they neither change nor end.
create table statements (
    source integer not null references sources (id),
    key blob not null,
    external_id text not null,
    user_id text,
    role_id text,
    statement text,
    started_ms integer,
    ended_ms integer,
    success integer,
    calls integer not null,
    precise integer not null,
    bytes integer,
    rows integer,
    -- Whether nobody can tell what it used.
    unclear integer not null,
    primary key (source, key)
) strict, without rowid;
create index statements_by_time on statements (source, started_ms);
create index statements_by_user on statements (source, user_id);

create table accesses (
    source integer not null references sources (id),
    statement_key blob not null,
    object_key blob not null,
    action text not null,
    primary key (source, statement_key, object_key, action)
) strict, without rowid;
create index accesses_by_object on accesses (source, object_key);

create table coverages (
    source integer not null references sources (id),
    run text not null references runs (id),
    from_ms integer not null,
    to_ms integer not null,
    primary key (source, run)
) strict, without rowid;

-- Access controls that the cloud is master of, as they are to be.
create table internal_controls (
    id text primary key,
    source integer not null references sources (id),
    external_id text,
    creating text,
    record text not null,
    delete_wanted integer not null default 0,
    version integer not null default 1,
    created_ms integer not null,
    changed_ms integer not null,
    status text not null,
    feedback text,
    -- As the target had it after the last change that was carried out.
    applied text,
    -- As runs were about to make it since, of which nobody heard what became: a list.
    begun text,
    -- What somebody changed at the target by hand.
    drift text,
    -- Whether it is to be external again, and stays at the target as it is.
    hand_back integer not null default 0,
    unique (source, external_id)
) strict;

create table tokens (
    id text primary key,
    name text not null,
    sha256 blob not null unique,
    scopes text not null,
    created_ms integer not null,
    expires_ms integer
) strict;

-- What links the accounts of two stores, where it is not the e-mail address.
create table links (
    one text not null,
    other text not null,
    key text not null,
    primary key (one, other)
) strict, without rowid;
