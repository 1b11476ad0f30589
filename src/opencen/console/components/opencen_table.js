// A table of cells that the server has worked out. Everything is text: nothing here is ever parsed as HTML.
export default {
  template: `
    <div class="oc-table-box" :class="{ 'is-empty': !current.length }">
      <table v-if="current.length" class="oc-table">
        <caption class="oc-sr">{{ caption }}</caption>
        <thead>
          <tr>
            <th v-for="column in columns" :key="column.k" scope="col" :class="column.cls">
              <span v-if="column.t">{{ column.t }}</span><span v-else class="oc-sr">{{ column.sr }}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          <tr v-for="row in current" :key="row.id" :data-row="row.id">
            <component :is="index === 0 ? 'th' : 'td'" v-for="(column, index) in columns" :key="column.k"
                       :scope="index === 0 ? 'row' : null" :class="column.cls" :data-column="column.k">
              <template v-for="cell in row.cells[column.k] || []">
                <div v-if="cell.line" class="oc-line" :class="cell.cls">
                  <template v-for="part in cell.line">
                    <span v-if="part.chip" class="oc-chip" :class="'is-' + part.chip">{{ part.t }}</span>
                    <a v-else-if="part.href" :href="part.href" :class="part.cls" :title="part.title">{{ part.t }}</a>
                    <span v-else-if="part.n !== undefined" class="oc-number"><span v-if="part.d" class="oc-direction"
                      :title="part.title"><span aria-hidden="true">{{ part.d }}</span><span class="oc-sr">{{ part.title }}
                      </span></span>{{ part.n }}<span v-if="part.u" class="oc-unit">&nbsp;{{ part.u }}</span></span>
                    <span v-else-if="part.fill !== undefined" class="oc-use" aria-hidden="true"
                      ><span :class="'is-' + part.level" :style="{ width: 100 * part.fill + '%' }"></span></span>
                    <button v-else-if="part.act" type="button" class="oc-link" :class="part.cls" :aria-label="part.label"
                      @click="$emit('act', { act: part.act, id: row.id })">{{ part.t }}</button>
                    <span v-else :class="part.cls" :title="part.title">{{ part.t }}</span>
                  </template>
                </div>
                <div v-else-if="cell.stack" class="oc-stack-cell">
                  <div class="oc-stack" role="img" :aria-label="cell.label">
                    <span v-for="share in cell.stack" :class="'oc-share-' + share.c" :style="{ width: share.w + '%' }"
                      :title="share.t"></span>
                  </div>
                  <ul class="oc-legend">
                    <li v-for="share in cell.stack"><span class="oc-swatch" :class="'oc-share-' + share.c"></span>{{ share.t
                      }}</li>
                  </ul>
                </div>
              </template>
            </component>
          </tr>
        </tbody>
      </table>
      <p v-else class="oc-empty-note">{{ empty }}</p>
      <nav v-if="paging && paging.pages > 1" class="oc-paging" :aria-label="paging.label">
        <span>{{ paging.text }}</span>
        <button type="button" class="oc-button" :disabled="paging.page <= 1" @click="$emit('page', paging.page - 1)">
          {{ paging.previous }}</button>
        <button type="button" class="oc-button" :disabled="paging.page >= paging.pages"
          @click="$emit('page', paging.page + 1)">{{ paging.next }}</button>
      </nav>
    </div>`,
  props: { columns: Array, rows: Array, caption: String, empty: String, paging: Object },
  emits: ["act", "page"],
  data() {
    return { current: this.rows };
  },
  watch: {
    rows(rows) {
      this.current = rows;
    },
  },
  methods: {
    // changes: [row id, cells by column] for rows that are shown already
    patch(changes) {
      const places = new Map(this.current.map((row, index) => [row.id, index]));
      const next = this.current.slice();
      for (const [id, cells] of changes) {
        const place = places.get(id);
        if (place !== undefined) next[place] = { id, cells: { ...next[place].cells, ...cells } };
      }
      this.current = next;
    },
  },
};
