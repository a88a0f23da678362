package command

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/relay/access"
)

// edgeTokens is where the endpoint keeps named access tokens.
const edgeTokens = "access_tokens"

// namedToken is a named access token, as the endpoint tells of it.
type namedToken struct {
	Name     string         `json:"name"`
	Scopes   []access.Scope `json:"scopes"`
	Created  int64          `json:"created"`
	Expires  int64          `json:"expires_at"` // 0 for never
	LastUsed string         `json:"last_used,omitempty"`
	Token    string         `json:"token,omitempty"`
}

func newToken(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke named access tokens of a relay",
		Long: `Make, list and revoke named access tokens of a relay: one for each program and person that calls its
endpoint, which may do only what it has to. The relay keeps a hash of each, and the day of its latest use.

The relay's own access token (kubectl relay credentials) may do everything, and it alone can manage
named ones. Rotating it (kubectl relay rotate NAME access) does not revoke them.

Scopes, of which none includes another:
  send        messages, reactions, read marks and the block list
  read        what the endpoint says about the business and its number
  media       upload, describe, download and delete files
  templates   create, change and delete templates
  audit       read the relay's log
  admin       export and erase customers, change settings of the number, deliver dead letters`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(newTokenCreate(streams), newTokenList(streams), newTokenRevoke(streams))
	return cmd
}

func newTokenCreate(streams genericiooptions.IOStreams) *cobra.Command {
	var f memberFlags
	var output textOrJSON
	var name, expires string
	var scopes []string
	cmd := &cobra.Command{
		Use:   "create NAME|--business-account ACCOUNT --for WHOM --scope SCOPE[,SCOPE…]",
		Short: "Make a named access token and print it",
		Long: `Make a named access token and print it. It is shown only now.

With --business-account, all relays of that account accept the same token, or none does. A relay that
joins the account later does not accept it: revoke it and make another. A relay that leaves goes on
accepting it until it is revoked there.
` + howCalled,
		Example: `  # For a team inbox: it reads and writes messages with files, and nothing else
  kubectl relay token create acme -n acme --for chatwoot --scope send,read,media

  # For a script that lasts a day
  kubectl relay token create acme -n acme --for report --scope read --expires 1d

  # One token that all relays of the business account shop accept
  kubectl relay token create --business-account shop -n acme --for chatwoot --scope send,read,media`,
		Args: f.relays,
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "for", "", "the token's name: whom it is for, in lower-case letters, digits and hyphens (required)")
	flags.StringSliceVar(&scopes, "scope", nil, "what it may do: send, read, media, templates, audit, admin (required)")
	completeWords(cmd, "scope", "send", "read", "media", "templates", "audit", "admin")
	flags.StringVar(&expires, "expires", "90d", "how long it is valid: in days (90d) or hours (12h), or never")
	f.add(cmd)
	output.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	var seconds int64
	whole := func(cmd *cobra.Command) (err error) {
		if name == "" || len(scopes) == 0 {
			return usage(cmd, "say whom the token is for with --for, and what it may do with --scope")
		}
		if seconds, err = lifetime(expires); err != nil {
			return usage(cmd, "%v", err)
		}
		return nil
	}
	shown := func(made accountToken, err error) error {
		switch {
		case err != nil:
			return err
		case output == asJSON:
			return writeJSON(streams.Out, made)
		}
		accepted := ""
		if len(made.Relays) > 0 {
			accepted = " of " + strings.Join(made.Relays, ", ")
		}
		fmt.Fprintf(streams.ErrOut, "The access token %s%s (%s), %s. It is shown only now:\n", made.Name, accepted, scopeList(made.Scopes), ends(made.Expires))
		_, err = fmt.Fprintln(streams.Out, made.Token)
		return err
	}
	cmd.RunE = f.onMembers(cluster, func(cmd *cobra.Command, e *endpoint) error {
		made, err := e.createToken(cmd.Context(), name, scopes, seconds)
		return shown(accountToken{namedToken: made}, err)
	}, func(cmd *cobra.Command, members []member, missing error) error {
		if missing != nil {
			return fmt.Errorf("no token was made: %w", missing)
		}
		return shown(createTokens(cmd.Context(), members, name, scopes, seconds))
	}, output.check, whole)
	return cmd
}

func newTokenList(streams genericiooptions.IOStreams) *cobra.Command {
	var f memberFlags
	var output textOrJSON
	cmd := &cobra.Command{
		Use:     "list NAME|--business-account ACCOUNT",
		Short:   "List the named access tokens, with the day of their latest use",
		Long:    "List the named access tokens of a relay, with the day (UTC) of their latest use. Tokens that expired stay\nin the list until they are revoked. With --business-account it says which relays have each.\n" + howCalled,
		Example: `  kubectl relay token list acme -n acme`,
		Args:    f.relays,
	}
	f.add(cmd)
	output.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = f.onMembers(cluster, func(cmd *cobra.Command, e *endpoint) error {
		tokens, err := e.tokens(cmd.Context())
		switch {
		case err != nil:
			return err
		case output == asJSON:
			return writeJSON(streams.Out, map[string]any{"tokens": tokens})
		}
		return printTokens(streams.Out, tokens, time.Now())
	}, func(cmd *cobra.Command, members []member, missing error) error {
		tokens, err := listTokens(cmd.Context(), members)
		err = errors.Join(missing, err)
		if output == asJSON {
			return errors.Join(writeJSON(streams.Out, map[string]any{"tokens": tokens}), err)
		}
		return errors.Join(printAccountTokens(streams.Out, tokens, time.Now()), err)
	}, output.check)
	return cmd
}

func newTokenRevoke(streams genericiooptions.IOStreams) *cobra.Command {
	var f memberFlags
	var name string
	cmd := &cobra.Command{
		Use:     "revoke NAME|--business-account ACCOUNT --for WHOM",
		Short:   "Revoke a named access token, at once",
		Long:    "Revoke a named access token. The relay refuses it from then on. Addresses of files that it was given stay\nvalid for their five minutes. With --business-account every relay of that account refuses it that can be\nreached; if one cannot be, run the command again.\n" + howCalled,
		Example: `  kubectl relay token revoke acme -n acme --for chatwoot`,
		Args:    f.relays,
	}
	cmd.Flags().StringVar(&name, "for", "", "the token's name (required)")
	f.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	named := func(cmd *cobra.Command) error {
		if access.CheckName(name) != nil {
			return usage(cmd, "say which token with --for")
		}
		return nil
	}
	cmd.RunE = f.onMembers(cluster, func(cmd *cobra.Command, e *endpoint) error {
		if err := e.revokeToken(cmd.Context(), name); err != nil {
			return err
		}
		_, err := fmt.Fprintf(streams.Out, "The access token %s is revoked.\n", name)
		return err
	}, func(cmd *cobra.Command, members []member, missing error) error {
		revoked, err := revokeTokens(cmd.Context(), members, name)
		if missing != nil {
			err = fmt.Errorf("relays that cannot be called may still have it: %w", errors.Join(missing, err))
		}
		if len(revoked) > 0 {
			fmt.Fprintf(streams.Out, "The access token %s is revoked in %s.\n", name, strings.Join(revoked, ", "))
		}
		return err
	}, named)
	return cmd
}

// lifetime reads how long a token is valid, in seconds; 0 means that it never expires.
func lifetime(text string) (int64, error) {
	if text == "never" {
		return 0, nil
	}
	for unit, seconds := range map[string]int64{"d": 24 * 60 * 60, "h": 60 * 60} {
		if digits, ok := strings.CutSuffix(text, unit); ok {
			if n, err := strconv.ParseUint(digits, 10, 16); err == nil && n > 0 {
				return int64(n) * seconds, nil
			}
		}
	}
	return 0, errors.New("--expires must be a number of days or hours, such as 90d or 12h, or never")
}

// errNoSuchToken means that a relay has no token of that name.
var errNoSuchToken = errors.New("the relay has no access token")

// errTokenRefused means that a relay did not take a token.
var errTokenRefused = errors.New("the relay refused it")

// createToken has the relay make a token.
func (e *endpoint) createToken(ctx context.Context, name string, scopes []string, seconds int64) (made namedToken, err error) {
	made, err = e.postToken(ctx, name, map[string]any{"name": name, "scopes": scopes, "expires_in": seconds})
	if err == nil && made.Token == "" {
		err = errors.New("the relay's answer is not an access token")
	}
	return made, err
}

// addToken has the relay accept a token that was made here, by its hash.
func (e *endpoint) addToken(ctx context.Context, name string, scopes []string, seconds int64, hash []byte) (added namedToken, err error) {
	added, err = e.postToken(ctx, name, map[string]any{"name": name, "scopes": scopes, "expires_in": seconds, "sha256": hex.EncodeToString(hash)})
	if err == nil && added.Token != "" { // it did not look at the hash, and made one
		err = errors.New("this relay does not accept a token of all relays yet: upgrade Relaykeep, and wait until the relay has restarted")
	}
	return added, err
}

func (e *endpoint) postToken(ctx context.Context, name string, fields map[string]any) (made namedToken, err error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return made, err
	}
	answer, err := e.ask(ctx, http.MethodPost, edgeTokens, nil, body)
	if refusedAs(err, badParameter) {
		return made, fmt.Errorf("%w: either a token named %q exists (kubectl relay token list), or there are %d already, or the name, a scope or --expires is none", errTokenRefused, name, access.MaxTokens)
	}
	if err != nil {
		return made, withoutTokens(err)
	}
	if json.Unmarshal(answer, &made) != nil || made.Name != name {
		return made, errors.New("the relay's answer is not an access token")
	}
	return made, nil
}

// tokens lists the tokens.
func (e *endpoint) tokens(ctx context.Context) ([]namedToken, error) {
	answer, err := e.ask(ctx, http.MethodGet, edgeTokens, nil, nil)
	if err != nil {
		return nil, withoutTokens(err)
	}
	var list struct {
		Data []namedToken `json:"data"`
	}
	if json.Unmarshal(answer, &list) != nil || list.Data == nil {
		return nil, errors.New("the relay's answer is not a list of access tokens")
	}
	return list.Data, nil
}

// revokeToken revokes a token.
func (e *endpoint) revokeToken(ctx context.Context, name string) error {
	_, err := e.ask(ctx, http.MethodDelete, edgeTokens+"/"+name, nil, nil)
	if refusedAs(err, badParameter) {
		return fmt.Errorf("%w named %q: see kubectl relay token list", errNoSuchToken, name)
	}
	return withoutTokens(err)
}

// withoutTokens words the answer of a relay of an earlier release.
func withoutTokens(err error) error {
	if refusedAs(err, noObject) {
		return errors.New("this relay has no named access tokens yet: upgrade Relaykeep, and wait until the relay has restarted")
	}
	return err
}

// printTokens prints the tokens of one relay.
func printTokens(w io.Writer, tokens []namedToken, now time.Time) error {
	list := make([]accountToken, len(tokens))
	for i, t := range tokens {
		list[i].namedToken = t
	}
	return printTable(w, list, now, false)
}

// printAccountTokens also prints which relays have each.
func printAccountTokens(w io.Writer, tokens []accountToken, now time.Time) error {
	return printTable(w, tokens, now, true)
}

func printTable(w io.Writer, tokens []accountToken, now time.Time, relays bool) error {
	if len(tokens) == 0 {
		_, err := fmt.Fprintln(w, "There are no named access tokens.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	heading := "FOR\tSCOPES\tEXPIRES\tLAST USED"
	if relays {
		heading += "\tRELAYS"
	}
	fmt.Fprintln(table, heading)
	for _, t := range tokens {
		expires, used := "never", "never"
		if t.Expires > 0 {
			expires = time.Unix(t.Expires, 0).UTC().Format(time.DateOnly)
			if now.Unix() >= t.Expires {
				expires += " (expired)"
			}
		}
		if day, err := time.Parse(time.DateOnly, t.LastUsed); err == nil {
			used = day.Format(time.DateOnly)
		}
		if access.CheckName(t.Name) != nil {
			t.Name = "(not a name)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s", t.Name, scopeList(t.Scopes), expires, used)
		if relays {
			fmt.Fprint(table, "\t", strings.Join(t.Relays, ","))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// scopeList lists scopes that we know.
func scopeList(scopes []access.Scope) string {
	var known []string
	for _, s := range access.Known(scopes) {
		known = append(known, string(s))
	}
	return strings.Join(known, ",")
}

func ends(at int64) string {
	if at == 0 {
		return "which never expires"
	}
	return "which expires at " + time.Unix(at, 0).UTC().Format(time.RFC3339)
}
