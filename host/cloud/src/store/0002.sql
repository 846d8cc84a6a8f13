-- What access code applied last, by repository and target: a text that the program which wrote it reads again.
create table applied_states (
    repository text not null,
    target text not null,
    version integer not null,
    changed_ms integer not null,
    -- Null while an apply is on its way, and after one that did not reach its end.
    state text,
    primary key (repository, target)
) strict, without rowid;
