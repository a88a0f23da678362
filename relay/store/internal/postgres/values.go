package postgres

import (
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"math"
)

// Types of columns and parameters by their OIDs (pg_type.dat). Others are not used.
const (
	typeBool    = 16
	typeBytes   = 17
	typeInt8    = 20
	typeInt2    = 21
	typeInt4    = 23
	typeText    = 25
	typeVarchar = 1043
)

// encode returns a parameter in PostgreSQL's binary format; nil is NULL.
func encode(oid uint32, value driver.Value) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case int64:
		return encodeInteger(oid, v)
	case []byte:
		if oid == typeBytes {
			if v == nil {
				v = []byte{} // as in SQLite: only nil itself is NULL
			}
			return v, nil
		}
	case string:
		if oid == typeText || oid == typeVarchar {
			return []byte(v), nil
		}
	}
	return nil, fmt.Errorf("postgres: a %T cannot be a parameter of the type %d", value, oid)
}

func encodeInteger(oid uint32, v int64) ([]byte, error) {
	switch {
	case oid == typeInt8:
		return binary.BigEndian.AppendUint64(nil, uint64(v)), nil
	case oid == typeInt4 && math.MinInt32 <= v && v <= math.MaxInt32:
		return binary.BigEndian.AppendUint32(nil, uint32(v)), nil
	case oid == typeInt2 && math.MinInt16 <= v && v <= math.MaxInt16:
		return binary.BigEndian.AppendUint16(nil, uint16(v)), nil
	}
	return nil, fmt.Errorf("postgres: an integer does not fit a parameter of the type %d", oid)
}

// decode reads a column in PostgreSQL's binary format into memory of its own.
func decode(oid uint32, value []byte) (driver.Value, error) {
	switch {
	case value == nil:
		return nil, nil
	case oid == typeBytes:
		return append(make([]byte, 0, len(value)), value...), nil
	case oid == typeText || oid == typeVarchar:
		return string(value), nil
	case oid == typeInt8 && len(value) == 8:
		return int64(binary.BigEndian.Uint64(value)), nil
	case oid == typeInt4 && len(value) == 4:
		return int64(int32(binary.BigEndian.Uint32(value))), nil
	case oid == typeInt2 && len(value) == 2:
		return int64(int16(binary.BigEndian.Uint16(value))), nil
	case oid == typeBool && len(value) == 1:
		return int64(value[0]), nil
	}
	return nil, fmt.Errorf("postgres: a column has the type %d in %d bytes, which no statement of the store asks for", oid, len(value))
}
