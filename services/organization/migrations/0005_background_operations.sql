-- What gateways do behind their clients' backs. No table of the model, so no query reads it: an operation is
-- told to who asked for it and to administrators only.
CREATE TABLE backgroundoperation (
    backgroundoperationid uuid PRIMARY KEY,
    ownerid uuid NOT NULL,
    -- The process that does the work, and until when it is believed to live.
    holder uuid NOT NULL,
    leaseuntil timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'running', 'succeeded', 'failed', 'cancelled')),
    displayname text NOT NULL,
    clientrequestid text NOT NULL,
    errorcode text NOT NULL DEFAULT '',
    errormessage text NOT NULL DEFAULT '',
    outputs bytea NOT NULL DEFAULT '',
    entityurl text NOT NULL DEFAULT '',
    createdon timestamptz NOT NULL DEFAULT now(),
    startedon timestamptz,
    endedon timestamptz
);
CREATE INDEX backgroundoperation_createdon ON backgroundoperation (createdon);
