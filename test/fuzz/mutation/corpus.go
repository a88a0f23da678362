package mutation

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// header is the first line of each file of a corpus.
const header = "go test fuzz v1"

// readCorpus reads the inputs in a folder, in the order of their names; none when
// there is no folder.
func readCorpus(folder string) ([][]any, error) {
	files, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the corpus: %w", err)
	}
	all := make([][]any, 0, len(files))
	for _, file := range files {
		path := filepath.Join(folder, file.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the corpus: %w", err)
		}
		args, err := parseInput(string(data))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		all = append(all, args)
	}
	return all, nil
}

// parseInput reads the arguments in one file: a header, then one Go literal a line.
func parseInput(text string) ([]any, error) {
	rest, ok := strings.CutPrefix(text, header+"\n")
	if !ok {
		return nil, fmt.Errorf("it does not begin with %q", header)
	}
	var args []any
	for line := range strings.Lines(rest) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		value, err := parseValue(line)
		if err != nil {
			return nil, err
		}
		args = append(args, value)
	}
	return args, nil
}

// parseValue reads a literal such as []byte("a"), string("a"), uint32(7) or bool(true).
func parseValue(line string) (any, error) {
	e, err := parser.ParseExpr(line)
	if err != nil {
		return nil, fmt.Errorf("parsing a value: %w", err)
	}
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return nil, fmt.Errorf("%q is no conversion of a literal", line)
	}
	kind := "[]byte"
	if name, is := call.Fun.(*ast.Ident); is {
		kind = name.Name
	}
	literal := line[call.Args[0].Pos()-1 : call.Args[0].End()-1]
	switch kind {
	case "[]byte":
		s, err := strconv.Unquote(literal)
		return []byte(s), err
	case "string":
		return strconv.Unquote(literal)
	case "bool":
		return strconv.ParseBool(literal)
	case "uint32":
		n, err := strconv.ParseUint(literal, 0, 32)
		return uint32(n), err
	default:
		return nil, fmt.Errorf("no rule for a %s: add one", kind)
	}
}
