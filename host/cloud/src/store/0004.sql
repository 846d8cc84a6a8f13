-- What the clock said when an upload was taken in. `at_ms` is later than every upload before, also where the clock went back.
alter table uploads add column clock_ms integer;
