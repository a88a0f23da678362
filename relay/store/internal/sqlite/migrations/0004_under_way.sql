-- What a read marker is about: messages that receipts may still move on.
CREATE INDEX messages_under_way ON messages (customer, direction, created)
  WHERE state IN ('sent', 'delivered');
