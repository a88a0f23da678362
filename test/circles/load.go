package main

import (
	"errors"
	"fmt"
	"go/ast"
	"path/filepath"
	"slices"

	"golang.org/x/tools/go/packages"
)

// load type-checks the packages that the patterns name and returns their graphs. What a
// dependency declares comes from the compiler's export data.
func load(patterns []string) ([]graph, error) {
	const mode = packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedTypes |
		packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedExportFile
	found, err := packages.Load(&packages.Config{Mode: mode}, patterns...)
	if err != nil {
		return nil, fmt.Errorf("loading the packages: %w", err)
	}
	if packages.PrintErrors(found) > 0 {
		return nil, errors.New("the packages don't compile")
	}
	graphs := make([]graph, 0, len(found))
	for _, p := range found {
		graphs = append(graphs, graphOf(p))
	}
	return graphs, nil
}

// graphOf draws a package: functions, types, methods, fields, variables and constants
// all count as what a file declares.
func graphOf(p *packages.Package) graph {
	g := graph{name: p.PkgPath, edges: map[string][]string{}}
	for _, file := range p.Syntax {
		if ast.IsGenerated(file) {
			continue
		}
		name := filepath.Base(p.Fset.Position(file.Pos()).Filename)
		g.edges[name] = nil
		ast.Inspect(file, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			used := p.TypesInfo.Uses[id]
			if used == nil || used.Pkg() != p.Types || !used.Pos().IsValid() {
				return true
			}
			other := filepath.Base(p.Fset.Position(used.Pos()).Filename)
			if other != name && !slices.Contains(g.edges[name], other) {
				g.edges[name] = append(g.edges[name], other)
			}
			return true
		})
	}
	return g
}
