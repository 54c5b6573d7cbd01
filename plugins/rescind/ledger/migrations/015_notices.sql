-- Messages to chat. A row is committed before its message is sent, so that a task that is retried or cleared sends none a
-- second time. Append only. A crash between the row and the message loses the message.
CREATE TABLE rescind.notice (
    event text NOT NULL CHECK (length(event) BETWEEN 1 AND 500),
    channel text NOT NULL CHECK (length(channel) BETWEEN 1 AND 500),
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (event, channel)
);
CREATE TRIGGER notice_is_kept BEFORE UPDATE OR DELETE ON rescind.notice
    FOR EACH ROW EXECUTE FUNCTION rescind.refuse_change();
CREATE TRIGGER notice_is_not_emptied BEFORE TRUNCATE ON rescind.notice EXECUTE FUNCTION rescind.refuse_change();
